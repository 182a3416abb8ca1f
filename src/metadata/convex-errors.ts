import { ConvexError } from 'convex/values';
import { z } from 'zod';
import { AppError, type ErrorCode } from '#errors';
import { CONVEX_FAILURES, CONVEX_STATUSES } from './convex-failures.ts';

/** The status Convex answers with when a function threw; the client reads the body of such an answer. */
const FUNCTION_FAILED = 560;
/** Statuses of a request that would fail again. */
const BAD_REQUEST = CONVEX_STATUSES.filter(({ code }) => code === 'METADATA_REJECTED').flatMap(({ says }) => says);
/** The body of what a function gave or threw. */
const verdict = z.object({ status: z.enum(['success', 'error']) });

/** Convex gives its own 400 a code; a proxy's has none, and there is one that says so of any request. */
const refusal = z.object({ code: z.string() });

/** An answer with one of those; its message is the body. */
class BadRequest extends Error {}

/**
 * A fetch for `ConvexHttpClient` that lets through what is a verdict on the call: what the function gave or threw,
 * Convex's own 400, and 413. All else is `METADATA_UNAVAILABLE`: no connection, no whole answer within `timeoutMs`, throttled, the token
 * refused, the page of a proxy whatever its status.
 */
export function convexFetch(timeoutMs: number): typeof fetch {
  return async (input, init) => {
    let response: Response;
    let body: string;
    try {
      response = await fetch(input, { ...init, signal: AbortSignal.timeout(timeoutMs) });
      body = await response.text();
    } catch (cause) {
      throw new AppError('METADATA_UNAVAILABLE', 'Convex could not be reached or did not answer in time.', { cause });
    }
    const { status } = response;
    if (isBadRequest(status, body)) throw new BadRequest(`${status} ${body}`);
    if (!isVerdict(status, body)) {
      throw new AppError('METADATA_UNAVAILABLE', `Convex answered ${status}, which decides nothing.`, {
        details: { status, body: brief(body) },
      });
    }
    return new Response(body, { status, headers: response.headers });
  };
}

/**
 * What a call threw as one of our errors: `METADATA_REJECTED` for what a function threw on purpose, else by the table of
 * messages, and `METADATA_FAILED` for what nobody knows.
 */
export function toMetadataError(name: string, thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const said = thrown instanceof ConvexError ? JSON.stringify(thrown.data) : String(thrown);
  const code = thrown instanceof ConvexError || thrown instanceof BadRequest ? 'METADATA_REJECTED' : codeOf(said);
  const verb = code === 'METADATA_REJECTED' ? 'refused' : 'failed at';
  return new AppError(code, `Convex ${verb} ${name}: ${brief(said)}`, { cause: thrown });
}

function codeOf(said: string): ErrorCode {
  const row = CONVEX_FAILURES.find(({ says }) =>
    says.some((pattern) => pattern instanceof RegExp && pattern.test(said)),
  );
  return row?.code ?? 'METADATA_FAILED';
}

function isBadRequest(status: number, body: string): boolean {
  return BAD_REQUEST.includes(String(status)) && (status !== 400 || isOf(refusal, body));
}

function isVerdict(status: number, body: string): boolean {
  return (status === 200 || status === FUNCTION_FAILED) && isOf(verdict, body);
}

function isOf(schema: z.ZodType, body: string): boolean {
  try {
    return schema.safeParse(JSON.parse(body)).success;
  } catch {
    return false;
  }
}

function brief(text: string): string {
  return text.length > 500 ? `${text.slice(0, 500)}…` : text;
}
