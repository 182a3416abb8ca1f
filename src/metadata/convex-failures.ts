import type { FailureRow } from '#errors';

/**
 * Everything that Convex, its client and what stands between are known to say. First the status of the answer: what is no
 * verdict on the call is `METADATA_UNAVAILABLE`.
 */
export const CONVEX_STATUSES: readonly FailureRow[] = [
  {
    code: 'METADATA_REJECTED',
    why: 'The request is malformed, or too large: it would be the same again.',
    says: ['400', '413'],
  },
  {
    code: 'METADATA_UNAVAILABLE',
    why: 'Our token was refused, as by a Convex that has not read our key yet: nothing is wrong with any file.',
    says: ['401', '403'],
  },
  {
    code: 'METADATA_UNAVAILABLE',
    why: 'No Convex is there (yet), but a proxy, or another service.',
    says: ['301', '302', '307', '308', '404', 'a page', 'JSON of another form'],
  },
  { code: 'METADATA_UNAVAILABLE', why: 'It asks for fewer requests, or for patience.', says: ['408', '429'] },
  {
    code: 'METADATA_UNAVAILABLE',
    why: 'It, or what stands before it, fails: OptimisticConcurrencyControlFailure, Overloaded, RejectedBeforeExecution.',
    says: ['500', '502', '503', '504', '530', '560 without what the function said'],
  },
  {
    code: 'METADATA_UNAVAILABLE',
    why: 'No connection, or no whole answer in time. Whether the call was done is unknown; it is repeated.',
    says: ['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_SOCKET', 'TimeoutError', 'fetch failed'],
  },
];

/**
 * Then what a function gave or threw, by its message; an error thrown on purpose (`ConvexError`) is always
 * `METADATA_REJECTED`. Production hides all other messages behind "Server Error". What is not here is `METADATA_FAILED`.
 */
export const CONVEX_FAILURES: readonly FailureRow[] = [
  {
    code: 'METADATA_UNAVAILABLE',
    why: 'Many write the same rows. Convex repeated it several times by itself; later there are fewer.',
    says: [/OptimisticConcurrencyControlFailure|changed while this mutation was being run/],
  },
  {
    code: 'METADATA_UNAVAILABLE',
    why: 'A fault inside Convex, or too much work for it.',
    says: [
      /InternalServerError|Your request couldn't be completed\. Try again later/,
      /Overloaded|TooManyConcurrentRequests|RateLimited|RejectedBeforeExecution|WorkerOverloaded/,
    ],
  },
  {
    code: 'METADATA_REJECTED',
    why: 'The functions there are of another version, or there are none.',
    says: [/ArgumentValidationError|ReturnsValidationError/, /Could not find (public |internal )?(function|module)/],
  },
  {
    code: 'METADATA_REJECTED',
    why: 'Too much for one call: it is halved where it has items, and else would be too much again.',
    says: [
      /Too many (reads|writes|documents read|bytes read|bytes written|functions scheduled) in a single function/,
      /Too many (documents|bytes|system operations) (read|written)|(is|are) too large|maximum size|Array length is too long/,
    ],
  },
  {
    code: 'METADATA_REJECTED',
    why: 'A page of a list that is not continued from there.',
    says: [/InvalidCursor/],
  },
  {
    code: 'METADATA_REJECTED',
    why: 'What was to be sent or stored is no value of Convex, or not of its schema.',
    says: [/is not a supported Convex type|not valid JSON|does not match the schema|SchemaEnforcementError/],
  },
  {
    code: 'METADATA_FAILED',
    why: 'The function took too long: a smaller call, or another moment, may do.',
    says: [/Function execution timed out|SystemTimeoutError|Your request timed out|UserTimeout/],
  },
  {
    code: 'METADATA_FAILED',
    why: 'A function threw what it did not mean to. One item may be the culprit: the call is halved until it stands alone.',
    says: [/Server Error/, /Uncaught /],
  },
];
