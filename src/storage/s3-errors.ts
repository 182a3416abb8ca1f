import { AppError, type ErrorCode, type FailureRow } from '#errors';
import { S3_FAILURES, S3_STATUSES } from './s3-failures.ts';

/** By name first, then by status. */
const NAMES = codesIn(S3_FAILURES);
const STATUSES = codesIn(S3_STATUSES);

function codesIn(rows: readonly FailureRow[]): ReadonlyMap<string, ErrorCode> {
  return new Map(rows.flatMap(({ code, says }) => says.map((said) => [String(said), code] as const)));
}

/**
 * Runs `work` and turns what the SDK throws into `AppError`; our own errors, a signal's reason and what neither the SDK
 * nor the network said (a journal's refusal) pass as they are.
 */
export async function onS3<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal?.throwIfAborted();
    throw saidOf(error) ? toStoreError(error) : error;
  }
}

/** An error of the SDK as one of ours. */
export function toStoreError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const { name, status } = saidOf(error) ?? { name: 'unknown', status: undefined };
  const said = error instanceof Error ? error.message : String(error);
  const options = { cause: error, details: { name, status, said } };
  return new AppError(codeOf(name, status), `The store failed with ${name}: ${said}`, options);
}

/** The code for what the store said: by name, by status, and any other 5xx is an outage. What nobody knows is `STORE_FAILED`. */
export function codeOf(name: string, status: number | undefined): ErrorCode {
  const known = NAMES.get(name) ?? STATUSES.get(String(status));
  return known ?? (status !== undefined && status >= 500 ? 'STORE_UNAVAILABLE' : 'STORE_FAILED');
}

/** False for a store that says no to what it was tried with; throws on when it said nothing at all. */
export function refused(error: unknown): false {
  const { code, unavailable, details } = toStoreError(error);
  // RGW answers what it does not know with any status, 500 and 501 among them.
  if (unavailable && details.status === undefined) throw error;
  if (code === 'STORE_BUCKET_MISSING') throw error;
  return false;
}

/** True when the store called its error `name`. */
export function isNamed(error: unknown, name: string): boolean {
  return saidOf(error)?.name === name;
}

/** True when the credentials are past their time. */
export function isExpiry(error: unknown): boolean {
  return NAMES.get(saidOf(error)?.name ?? '') === 'STORE_CREDENTIALS_EXPIRED';
}

/** The store has no such multipart upload, any more; S3 says the one, RGW the other. */
export function isVanished(error: unknown): boolean {
  return isNamed(error, 'NoSuchUpload') || isNamed(error, 'NoSuchKey');
}

/** Name and status of an error of the SDK or the network, which keeps its own name in `code`; undefined for any other. */
export function saidOf(error: unknown): { name: string; status: number | undefined } | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, $metadata } = error as { code?: unknown; $metadata?: { httpStatusCode?: number } };
  if (typeof code === 'string') return { name: NAMES.has(code) ? code : error.name, status: $metadata?.httpStatusCode };
  if ($metadata === undefined && !NAMES.has(error.name)) return undefined;
  return { name: error.name, status: $metadata?.httpStatusCode };
}
