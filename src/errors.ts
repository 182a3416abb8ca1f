/**
 * The one table of error codes. A code decides whether a retry can help, which HTTP status a caller
 * sees and what they should do next; every error a person can meet carries one of them.
 */
const CODES = {
  VALIDATION_FAILED: row(400, false, 'Correct the fields named in details and send the request again.'),
  INVALID_JSON: row(400, false, 'Send a body that is valid JSON, with Content-Type: application/json.'),
  INVALID_FORM: row(400, false, 'Send a complete multipart/form-data body with a boundary and at least one file part.'),
  PATH_NOT_ALLOWED: row(400, false, 'Use a path inside one of UPLOAD_ROOTS, or upload the bytes as a form.'),
  ORIGIN_NOT_FOUND: row(400, false, 'Check that the origin exists and can be read, then upload again.'),
  URL_NOT_ALLOWED: row(400, false, 'Use an http or https URL on a public address, or upload the bytes as a form.'),
  UNAUTHENTICATED: row(
    401,
    false,
    'Send Authorization: Bearer <API key>. The embedded stack keeps its keys in credentials.json.',
  ),
  FORBIDDEN: row(403, false, 'Use a key that has the scope named in details, for this project.'),
  NOT_FOUND: row(404, false, 'Check the id and the project the key belongs to.'),
  METHOD_NOT_ALLOWED: row(405, false, 'Use one of the methods in Allow.'),
  CONFLICT: row(409, false, 'Read the present state and decide again.'),
  IDEMPOTENCY_MISMATCH: row(
    409,
    false,
    'The Idempotency-Key was used for another request. Use a new key for a new request, or send the first one unchanged.',
  ),
  IDEMPOTENCY_BUSY: row(409, true, 'Send the request again in a moment, with the same Idempotency-Key.'),
  STAGING_INCOMPLETE: row(409, false, 'Send the parts named in details, then complete it again.'),
  GONE: row(410, false, 'It was deleted; upload it again if it is still needed.'),
  TOO_LARGE: row(413, false, 'Split the request, or send large bytes as a form or by staging.'),
  UNSUPPORTED_MEDIA_TYPE: row(415, false, 'Send application/json or multipart/form-data, as the route says.'),
  CHECKSUM_MISMATCH: row(422, false, 'Upload the bytes again, with their own SHA-256.'),
  SIZE_MISMATCH: row(422, false, 'Upload the bytes again, with their own size.'),
  EMPTY_FILE: row(422, false, 'The file has no bytes. Upload it again once it is complete.'),
  CONTENT_TYPE_MISMATCH: row(
    422,
    false,
    'The bytes are of another type than was declared. Declare their own contentType, or leave it out.',
  ),
  TIMED_OUT: row(422, true, 'The file took longer than it may. Check its origin; the upload is tried again.'),
  ORIGIN_UNREADABLE: row(422, true, 'The origin could not be read to its end. Check it; the upload is tried again.'),
  RANGE_NOT_SATISFIABLE: row(416, false, 'Ask for a range inside the object.'),
  RATE_LIMITED: row(429, true, 'Wait as long as Retry-After says, then send the request again.'),
  CANCELLED: row(409, false, 'It was cancelled on request; upload it again if it is still needed.'),
  POISON: row(422, false, 'Look at what is special about the file; replay it once that is mended.'),
  OBJECT_MISSING: row(502, false, 'Upload the file again: its object is gone from the store.'),
  JOB_LOST: row(502, false, 'Upload the file again: nothing works on it any more.'),
  ENCRYPTION_NOT_APPLIED: row(502, false, 'The store ignored the encryption asked for. Correct S3_SSE or the bucket.'),
  LOCK_NOT_APPLIED: row(
    502,
    false,
    'The store did not keep the lock asked for. Use a bucket with Object Lock, or upload without lock.',
  ),
  STORE_ACCESS_DENIED: row(502, false, 'Give the credentials the right to read and write the bucket.'),
  STORE_BUCKET_MISSING: row(502, false, 'Create the bucket named in S3_BUCKET, or correct its name.'),
  STORE_REJECTED: row(502, false, 'The store refused the request; its own words are in details.'),
  STORE_FAILED: row(502, true, 'The store failed in a way that Reelay does not know; its own words are in details.'),
  METADATA_REJECTED: row(502, false, 'Convex refused the request; deploy the functions of this version, then replay.'),
  METADATA_FAILED: row(502, true, 'Convex failed in a way that Reelay does not know; its own words are in details.'),
  STORE_UNAVAILABLE: row(503, true, 'The store is away. Work waits and goes on when it returns.'),
  STORE_CREDENTIALS_EXPIRED: row(
    503,
    true,
    'The credentials for the store have expired and no newer ones came. Check where the AWS SDK finds them; work waits.',
  ),
  STORE_CLOCK_SKEWED: row(503, true, "Set this machine's clock right (NTP). Work waits and goes on by itself."),
  METADATA_UNAVAILABLE: row(503, true, 'Convex is away. Work waits and goes on when it returns.'),
  QUEUE_UNAVAILABLE: row(503, true, 'Send the request again after Retry-After.'),
  BACKLOG_FULL: row(503, true, 'More work waits than may wait. Send the request again after Retry-After.'),
  NOT_READY: row(503, true, 'The asset is not ready yet. Ask again shortly, or follow its status.'),
  STORE_FULL: row(503, true, 'The store has no room left. Free some; work goes on by itself.'),
  INTERNAL: row(500, true, 'An error in Reelay. Try again; if it stays, report the correlation id.'),
} as const satisfies Record<string, CodeRow>;

/** The table, for what tells of every code there is. */
export const ERROR_CODES: Readonly<Record<ErrorCode, CodeRow>> = CODES;

/** What a code means: `status` as HTTP, `retryable` when the same call may succeed later, `nextAction` for a person. */
export interface CodeRow {
  readonly status: number;
  readonly retryable: boolean;
  readonly nextAction: string;
}

export type ErrorCode = keyof typeof CODES;

function row(status: number, retryable: boolean, nextAction: string): CodeRow {
  return { status, retryable, nextAction };
}

/** An error as it travels in rows, jobs, batches and answers. */
export interface ErrorFacts {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly nextAction: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Codes of a dependency that is away: the work waits and no attempt is spent. */
const UNAVAILABLE: ReadonlySet<ErrorCode> = new Set([
  'STORE_UNAVAILABLE',
  'STORE_CREDENTIALS_EXPIRED',
  'STORE_CLOCK_SKEWED',
  'METADATA_UNAVAILABLE',
  'QUEUE_UNAVAILABLE',
  'STORE_FULL',
]);

/** What happens to work that met an error: it waits, is tried again a few times, or ends at once. */
export type FailureClass = 'unavailable' | 'transient' | 'permanent';

/** The class of a code: of one that is away no attempt is spent. */
export function classOf(code: ErrorCode): FailureClass {
  if (UNAVAILABLE.has(code)) return 'unavailable';
  return CODES[code].retryable ? 'transient' : 'permanent';
}

/** What a dependency's client can throw (names, statuses, patterns of a message), the code it becomes, and why. */
export interface FailureRow {
  readonly code: ErrorCode;
  readonly why: string;
  readonly says: readonly (string | RegExp)[];
}

/** `nextAction` replaces the code's where that one would mislead. */
export interface AppErrorOptions {
  readonly details?: Record<string, unknown>;
  readonly nextAction?: string;
  readonly cause?: unknown;
}

/** The only error our own code throws on purpose. `message` says what happened and why, in one sentence. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly nextAction: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.nextAction = options.nextAction ?? CODES[code].nextAction;
    this.details = options.details ?? {};
  }

  get retryable(): boolean {
    return CODES[this.code].retryable;
  }

  get status(): number {
    return CODES[this.code].status;
  }

  /** True when a dependency is away: delay the work, spend no attempt. */
  get unavailable(): boolean {
    return UNAVAILABLE.has(this.code);
  }

  toFacts(): ErrorFacts {
    const { code, message, retryable, nextAction, details } = this;
    return { code, message, retryable, nextAction, details };
  }
}

/** Any thrown value as an AppError; what is not one of ours becomes `INTERNAL` and keeps its cause. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new AppError('INTERNAL', message, { cause: thrown });
}

/** True for a string that is one of our codes; outside data (rows, failed jobs) is checked with it. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(CODES, value);
}
