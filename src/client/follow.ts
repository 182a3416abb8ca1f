import { ReelayError } from './error.ts';
import { type Pause, pauseFor } from './pause.ts';

const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1_000;
/** Polls in a row that may fail while the API is away, about a minute, before the last failure is thrown. */
const FAILURES_BORNE = 20;

interface FollowOptions<T> {
  /** Sees each answer that differs from the one before. */
  readonly onUpdate?: ((answer: T) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly pause?: Pause | undefined;
}

/**
 * Asks until `done` accepts the answer: 50 ms apart at first, then ever longer up to a second. An API
 * that is away is waited for, about a minute; other errors are thrown at once.
 */
export async function follow<T>(
  ask: () => Promise<T>,
  done: (answer: T) => boolean,
  { onUpdate, signal, pause = pauseFor }: FollowOptions<T> = {},
): Promise<T> {
  let wait = FIRST_WAIT_MS;
  let failures = 0;
  let last = '';
  for (;;) {
    const answer = await ask().catch((thrown: unknown) => {
      failures += 1;
      if (!(thrown instanceof ReelayError && thrown.retryable) || failures > FAILURES_BORNE) throw thrown;
      return undefined;
    });
    if (answer !== undefined) {
      failures = 0;
      const seen = JSON.stringify(answer);
      if (seen !== last) onUpdate?.(answer);
      last = seen;
      if (done(answer)) return answer;
    }
    await pause(wait, signal);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}
