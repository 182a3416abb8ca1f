import { AppError, type ErrorCode } from '#errors';

/** What S3, its imitators and the network say, in our words. Names come first, then the HTTP status. */
const NAMES: Readonly<Record<string, ErrorCode>> = {
  NoSuchBucket: 'STORE_BUCKET_MISSING',
  InvalidBucketName: 'STORE_BUCKET_MISSING',
  NoSuchKey: 'NOT_FOUND',
  NoSuchVersion: 'NOT_FOUND',
  InvalidRange: 'RANGE_NOT_SATISFIABLE',
  AccessDenied: 'STORE_ACCESS_DENIED',
  AllAccessDisabled: 'STORE_ACCESS_DENIED',
  AccountProblem: 'STORE_ACCESS_DENIED',
  Forbidden: 'STORE_ACCESS_DENIED',
  InvalidAccessKeyId: 'STORE_ACCESS_DENIED',
  InvalidToken: 'STORE_ACCESS_DENIED',
  InvalidTokenId: 'STORE_ACCESS_DENIED',
  RequestTimeTooSkewed: 'STORE_ACCESS_DENIED',
  SignatureDoesNotMatch: 'STORE_ACCESS_DENIED',
  ExpiredToken: 'STORE_CREDENTIALS_EXPIRED',
  ExpiredTokenException: 'STORE_CREDENTIALS_EXPIRED',
  TokenRefreshRequired: 'STORE_CREDENTIALS_EXPIRED',
  InsufficientCapacity: 'STORE_FULL',
  QuotaExceeded: 'STORE_FULL',
  XMinioStorageFull: 'STORE_FULL',
  BandwidthLimitExceeded: 'STORE_UNAVAILABLE',
  InternalError: 'STORE_UNAVAILABLE',
  NotImplemented: 'STORE_REJECTED',
  NoSuchUpload: 'STORE_UNAVAILABLE',
  OperationAborted: 'STORE_UNAVAILABLE',
  RequestLimitExceeded: 'STORE_UNAVAILABLE',
  RequestTimeout: 'STORE_UNAVAILABLE',
  ServiceUnavailable: 'STORE_UNAVAILABLE',
  SlowDown: 'STORE_UNAVAILABLE',
  Throttling: 'STORE_UNAVAILABLE',
  ThrottlingException: 'STORE_UNAVAILABLE',
  TimeoutError: 'STORE_UNAVAILABLE',
  TooManyRequests: 'STORE_UNAVAILABLE',
  EAI_AGAIN: 'STORE_UNAVAILABLE',
  ECONNREFUSED: 'STORE_UNAVAILABLE',
  ECONNRESET: 'STORE_UNAVAILABLE',
  EHOSTUNREACH: 'STORE_UNAVAILABLE',
  ENETUNREACH: 'STORE_UNAVAILABLE',
  ENOTFOUND: 'STORE_UNAVAILABLE',
  EPIPE: 'STORE_UNAVAILABLE',
  ETIMEDOUT: 'STORE_UNAVAILABLE',
};

const STATUSES: Readonly<Record<number, ErrorCode>> = {
  401: 'STORE_ACCESS_DENIED',
  403: 'STORE_ACCESS_DENIED',
  404: 'NOT_FOUND',
  408: 'STORE_UNAVAILABLE',
  416: 'RANGE_NOT_SATISFIABLE',
  429: 'STORE_UNAVAILABLE',
  501: 'STORE_REJECTED',
  507: 'STORE_FULL',
};

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

/** The code for what the store said: by name, by status, and any other 5xx is an outage. */
export function codeOf(name: string, status: number | undefined): ErrorCode {
  const byStatus = status === undefined ? undefined : STATUSES[status];
  return NAMES[name] ?? byStatus ?? (status !== undefined && status >= 500 ? 'STORE_UNAVAILABLE' : 'STORE_REJECTED');
}

/** True when the store called its error `name`. */
export function isNamed(error: unknown, name: string): boolean {
  return saidOf(error)?.name === name;
}

/** True when the credentials are past their time. */
export function isExpiry(error: unknown): boolean {
  return NAMES[saidOf(error)?.name ?? ''] === 'STORE_CREDENTIALS_EXPIRED';
}

/** The store has no such multipart upload, any more; S3 says the one, RGW the other. */
export function isVanished(error: unknown): boolean {
  return isNamed(error, 'NoSuchUpload') || isNamed(error, 'NoSuchKey');
}

/** Name and status of an error of the SDK or the network, which keeps its own name in `code`; undefined for any other. */
export function saidOf(error: unknown): { name: string; status: number | undefined } | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, $metadata } = error as { code?: unknown; $metadata?: { httpStatusCode?: number } };
  if (typeof code === 'string') return { name: code in NAMES ? code : error.name, status: $metadata?.httpStatusCode };
  if ($metadata === undefined && !(error.name in NAMES)) return undefined;
  return { name: error.name, status: $metadata?.httpStatusCode };
}
