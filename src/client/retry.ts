import { ReelayError } from './error.ts';
import { type Pause, pauseFor } from './pause.ts';

/** A call's own limits. */
export interface CallOptions {
  /** Ends the call, which rejects with its reason; `AbortSignal.timeout(…)` limits all tries together. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds from a first failure in which the call is tried again; 0 tries once. As the client's unless given. */
  readonly retryForMs?: number | undefined;
}

export interface RetryOptions {
  /** As `CallOptions`, for every call; 30,000 unless given. */
  readonly retryForMs?: number | undefined;
  /** Sees each failure that is borne, and the wait in milliseconds that follows it. */
  readonly onRetry?: ((error: ReelayError, waitMs: number) => void) | undefined;
  /** How waits pass, the time in milliseconds, and numbers from 0 to 1: the real ones unless a test has its own. */
  readonly pause?: Pause | undefined;
  readonly clock?: (() => number) | undefined;
  readonly random?: (() => number) | undefined;
}

export const RETRY_FOR_MS = 30_000;
/** First wait without a Retry-After; each next one is twice as long. */
const FIRST_WAIT_MS = 200;
const LONGEST_OWN_WAIT_MS = 5_000;
/** An API that asks for more is asked again after this long all the same. */
const LONGEST_WAIT_MS = 60_000;
/** Callers told to wait equally long shall not all come back at once: as much is added at most. */
const SPREAD = 0.25;

/** Runs `attempt` until it succeeds, fails for good, or has failed for too long; `again` may forbid another try. */
export type Retry = <T>(attempt: () => Promise<T>, options?: CallOptions, again?: () => boolean) => Promise<T>;

/** Tries again what may pass: no answer, 429, 5xx that say so; never sooner than Retry-After asks, within the cap. */
export function createRetry(options: RetryOptions): Retry {
  const { pause = pauseFor, clock = Date.now, random = Math.random, onRetry } = options;

  function waitAfter({ retryAfterSeconds }: ReelayError, tries: number): number {
    const own = Math.min(FIRST_WAIT_MS * 2 ** tries, LONGEST_OWN_WAIT_MS);
    const asked = Math.min((retryAfterSeconds ?? 0) * 1_000, LONGEST_WAIT_MS);
    return Math.round(Math.max(own, asked) * (1 + random() * SPREAD));
  }

  return async (attempt, { signal, retryForMs = options.retryForMs ?? RETRY_FOR_MS } = {}, again = () => true) => {
    let failingSince: number | undefined;
    for (let tries = 0; ; tries += 1) {
      try {
        return await attempt();
      } catch (thrown) {
        if (!(thrown instanceof ReelayError && thrown.retryable && again())) throw thrown;
        failingSince ??= clock();
        const wait = waitAfter(thrown, tries);
        if (clock() + wait > failingSince + retryForMs) throw thrown;
        onRetry?.(thrown, wait);
        await pause(wait, signal);
      }
    }
  };
}
