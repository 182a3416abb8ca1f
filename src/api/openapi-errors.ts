import type { ZodOpenApiResponsesObject } from 'zod-openapi';
import { type ErrorAnswer, errorAnswer } from '#answers';
import { ERROR_CODES, type ErrorCode } from '#errors';

interface Said {
  readonly message: string;
  readonly details?: Record<string, unknown>;
}

/** What an error of each code may say: an example for the reader, in the words of the place that throws it. */
const SAID: Readonly<Record<ErrorCode, Said>> = {
  VALIDATION_FAILED: {
    message: 'files[0].assetType: Must be one of video_chunk, source_code.',
    details: { fields: [{ path: 'files[0].assetType', message: 'Must be one of video_chunk, source_code.' }] },
  },
  INVALID_JSON: { message: 'The body is not valid JSON: Unexpected end of JSON input.' },
  INVALID_FORM: { message: 'The form has no file part.' },
  PATH_NOT_ALLOWED: { message: '/etc/passwd is not inside one of UPLOAD_ROOTS.' },
  ORIGIN_NOT_FOUND: { message: 'Nothing is staged as st_3xQF0.' },
  URL_NOT_ALLOWED: { message: 'http://10.0.0.7/clip.mp4 does not lead to a public address.' },
  UNAUTHENTICATED: { message: 'The request carries no API key or token.' },
  FORBIDDEN: { message: 'The caller has no assets:write in project demo.', details: { scope: 'assets:write' } },
  NOT_FOUND: { message: 'There is no such thing here.' },
  METHOD_NOT_ALLOWED: { message: 'PATCH is not allowed here.', details: { allow: 'GET, HEAD' } },
  CONFLICT: { message: 'What was asked does not fit its present state.' },
  IDEMPOTENCY_MISMATCH: { message: 'This Idempotency-Key came with another request before.' },
  IDEMPOTENCY_BUSY: { message: 'A request with this Idempotency-Key is still under way.' },
  STAGING_INCOMPLETE: {
    message: '2 parts are missing or have another size, part 2 first.',
    details: { missing: [2, 3] },
  },
  GONE: { message: 'It was deleted, or given up, or has expired.' },
  TOO_LARGE: { message: '5001 files in one request; the most is 5000.', details: { max: 5_000 } },
  UNSUPPORTED_MEDIA_TYPE: { message: 'This route takes a body of application/json.' },
  CHECKSUM_MISMATCH: { message: 'clip.mp4 has the SHA-256 9f86d0…, not 2c26b4….' },
  SIZE_MISMATCH: { message: 'clip.mp4 has 12712 bytes, not 1234.' },
  EMPTY_FILE: { message: 'clip.mp4 has no bytes.' },
  CONTENT_TYPE_MISMATCH: { message: 'clip.mp4 is image/png, not video/mp4.' },
  TIMED_OUT: { message: 'clip.mp4 took longer than it may.' },
  ORIGIN_UNREADABLE: { message: 'clip.mp4 could not be read to its end.' },
  RANGE_NOT_SATISFIABLE: { message: 'The object has 12712 bytes.' },
  RATE_LIMITED: { message: 'Too many requests came at once.' },
  CANCELLED: { message: 'The job was cancelled.' },
  POISON: { message: 'The job crashed its worker 20 times in a row without getting any further.' },
  OBJECT_MISSING: { message: 'The store has no object for this asset any more.' },
  JOB_LOST: { message: 'No job works on this file any more.' },
  ENCRYPTION_NOT_APPLIED: { message: 'The store did not confirm the encryption aws:kms.' },
  LOCK_NOT_APPLIED: { message: 'The store did not confirm the lock.' },
  STORE_ACCESS_DENIED: { message: 'The store denies access to the bucket.' },
  STORE_BUCKET_MISSING: { message: 'There is no bucket of this name.' },
  STORE_REJECTED: { message: 'The store refused the request.' },
  STORE_FAILED: { message: 'The store failed with Strange: nobody knows why.' },
  METADATA_REJECTED: { message: 'Convex refused the request.' },
  METADATA_FAILED: { message: 'Convex failed at assets.batchUpdateAssets: Server Error.' },
  STORE_UNAVAILABLE: { message: 'The store does not answer.' },
  STORE_CREDENTIALS_EXPIRED: { message: 'The credentials for the store have expired.' },
  STORE_CLOCK_SKEWED: { message: "This machine's clock and the store's are too far apart." },
  METADATA_UNAVAILABLE: { message: 'Convex does not answer.' },
  QUEUE_UNAVAILABLE: { message: 'Redis does not answer.' },
  BACKLOG_FULL: { message: '100000 jobs wait, which is as many as may.' },
  NOT_READY: { message: 'The asset is not ready yet.' },
  STORE_FULL: { message: 'The store has no room left.' },
  INTERNAL: { message: 'Something went wrong inside Reelay.' },
};

/** An error of this code as it is answered. */
function exampleOf(code: ErrorCode): ErrorAnswer {
  const { message, details = {} } = SAID[code];
  const { retryable, nextAction } = ERROR_CODES[code];
  const correlationId = '0b9a4c1e-9d0c-4f4e-8f2b-6f1d5f0c2a77';
  return { error: { code, message, retryable, nextAction, details, correlationId } };
}

/** An example for each code there is, to be referred to. */
export function errorExamples() {
  const codes = Object.keys(ERROR_CODES) as ErrorCode[];
  return Object.fromEntries(codes.map((code) => [code, { summary: code, value: exampleOf(code) }]));
}

const RETRY_AFTER = { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } };
const CORRELATION = { 'X-Correlation-Id': { $ref: '#/components/headers/CorrelationId' } };

/** The answers that these codes make, one for each status. */
export function errorResponses(codes: readonly ErrorCode[]): ZodOpenApiResponsesObject {
  const byStatus = Map.groupBy(new Set(codes), (code) => ERROR_CODES[code].status);
  const sorted = [...byStatus].toSorted(([a], [b]) => a - b);
  return Object.fromEntries(
    sorted.map(([status, some]) => [
      String(status) as `${4 | 5}${string}`,
      {
        description: some.map((code) => `\`${code}\`: ${ERROR_CODES[code].nextAction}`).join('\n\n'),
        headers: { ...CORRELATION, ...((status === 429 || status === 503) && RETRY_AFTER) },
        content: {
          'application/json': {
            schema: errorAnswer,
            examples: Object.fromEntries(some.map((code) => [code, { $ref: `#/components/examples/${code}` }])),
          },
        },
      },
    ]),
  );
}
