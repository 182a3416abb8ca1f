import { ConvexError } from 'convex/values';
import { z } from 'zod';
import { AppError } from '#errors';

/** The status Convex answers with when a function threw; the client reads the body of such an answer. */
const FUNCTION_FAILED = 560;
/** What Convex, or what stands before it, says of a request that would fail again: malformed, or too large. */
const BAD_REQUEST: ReadonlySet<number> = new Set([400, 413]);
/** The body of what a function gave or threw. */
const verdict = z.object({ status: z.enum(['success', 'error']) });

/**
 * A fetch for `ConvexHttpClient` that lets through what is a verdict on the call: what the function gave or threw, 400
 * and 413. All else is `METADATA_UNAVAILABLE`: no connection, no whole answer within `timeoutMs`, throttled, the token
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
    if (!isVerdict(status, body)) {
      throw new AppError('METADATA_UNAVAILABLE', `Convex answered ${status}, which decides nothing.`, {
        details: { status, body: brief(body) },
      });
    }
    return new Response(body, { status, headers: response.headers });
  };
}

/** What a call threw as one of our errors: what is not `METADATA_UNAVAILABLE` is `METADATA_REJECTED`. */
export function toMetadataError(name: string, thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const said = thrown instanceof ConvexError ? JSON.stringify(thrown.data) : String(thrown);
  return new AppError('METADATA_REJECTED', `Convex refused ${name}: ${brief(said)}`, { cause: thrown });
}

function isVerdict(status: number, body: string): boolean {
  if (BAD_REQUEST.has(status)) return true;
  if (status !== 200 && status !== FUNCTION_FAILED) return false;
  try {
    return verdict.safeParse(JSON.parse(body)).success;
  } catch {
    return false;
  }
}

function brief(text: string): string {
  return text.length > 500 ? `${text.slice(0, 500)}…` : text;
}
