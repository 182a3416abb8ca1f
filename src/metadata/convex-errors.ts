import { ConvexError } from 'convex/values';
import { AppError } from '#errors';

/** The status Convex answers with when a function threw; the client reads the body of such an answer. */
const FUNCTION_FAILED = 560;
const TRY_LATER: ReadonlySet<number> = new Set([408, 429]);

/**
 * A fetch for `ConvexHttpClient` that tells a Convex that is away (`METADATA_UNAVAILABLE`: no connection, no
 * whole answer within `timeoutMs`, 5xx, throttled) from one that answers.
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
    if ((status >= 500 && status !== FUNCTION_FAILED) || TRY_LATER.has(status)) {
      throw new AppError('METADATA_UNAVAILABLE', `Convex answered ${status}.`, {
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

function brief(text: string): string {
  return text.length > 500 ? `${text.slice(0, 500)}…` : text;
}
