/**
 * Limits of the real Convex, so that what runs here deploys there. Sizes are bytes of Convex values as
 * `measure.ts` counts them. Numbers: https://docs.convex.dev/production/state/limits.
 */
const MIB = 1024 * 1024;

/** What one query or mutation may do in all, nested ones included. Keys as `ctx.meta.getTransactionMetrics()` names them. */
export const TRANSACTION_LIMITS = {
  documentsRead: 32_000,
  bytesRead: 16 * MIB,
  /** Index ranges and single documents read. */
  databaseQueries: 4_096,
  documentsWritten: 16_000,
  bytesWritten: 16 * MIB,
  functionsScheduled: 1_000,
  scheduledFunctionArgsBytes: 16 * MIB,
} as const;

export const LARGEST_DOCUMENT = MIB;
export const DEEPEST_DOCUMENT = 16;
/** Of any value: arguments, results, what is written. */
export const DEEPEST_VALUE = 64;
export const LONGEST_ARRAY = 8_192;
export const MOST_FIELDS = 1_024;
/** Of arguments and of results. */
export const LARGEST_VALUE = 16 * MIB;
/** Of the body of a request to an HTTP action. */
export const LARGEST_HTTP_BODY = 20 * MIB;

/** Time in the function's own code; waiting for the database does not count. */
export const USER_CODE_MS = 1_000;
/** From start to end, whatever it waits for: here one that never ends would hold up all others. */
export const DEADLINE_MS = { query: 15_000, mutation: 15_000, action: 600_000 } as const;

export const MOST_LOG_LINES = 256;
/** In bytes of UTF-8. */
export const LONGEST_LOG_LINE = 32 * 1024;
