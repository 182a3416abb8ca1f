import {
  BrokenCircuitError,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  TaskCancelledError,
  TimeoutStrategy,
  timeout,
} from 'cockatiel';
import { AppError } from '#errors';

/** Stands between a process and a dependency that is away: calls are refused at once instead of each finding out. */
export interface Breaker {
  /**
   * Runs `call` while closed. While open, throws at once what the last call met, with `details.breaker` `open` and
   * `details.retryAfter` in seconds.
   */
  run<T>(call: () => Promise<T>): Promise<T>;
  /** What a call meets while open; undefined while calls pass. */
  readonly refusal: AppError | undefined;
  /** Hears of each opening and closing until the function it gives is called. */
  onChange(listener: (isOpen: boolean) => void): () => void;
  /** Ends the probing. */
  close(): void;
}

/** Of one dependency. */
export interface BreakerOptions {
  /** What people call it, to begin a sentence with. */
  readonly name: string;
  /** Codes that say it is away. */
  readonly counts: ReadonlySet<string>;
  /** Whether any other code is an answer of its own. One that is not, as of a call given up, says nothing of it. */
  readonly isAnswer?: (code: string) => boolean;
  /** Asked while open: resolves, or rejects with any other code, when the dependency is there again. */
  readonly probe: () => Promise<unknown>;
  /** Milliseconds from opening to the probe, and between probes. */
  readonly probeEveryMs?: number;
}

/** Answers in a row that open it. */
const IN_A_ROW = 5;
const PROBE_EVERY = 5_000;
/** A probe without an answer by then has failed, in milliseconds: what came back meanwhile must not wait for it. */
const PROBE_WITHIN = 5_000;

/**
 * A breaker that opens after five answers in a row that say the dependency is away. One probe at a time then asks whether
 * it is back: never a caller's own call, which may take minutes.
 */
export function createBreaker(options: BreakerOptions): Breaker {
  const { name, counts, isAnswer = () => true, probe, probeEveryMs = PROBE_EVERY } = options;
  // A call may make others of the same dependency, as a put reads staged bytes: these are refused by us, not by it.
  const isRefusal = (error: unknown) => error instanceof AppError && error.details.breaker === 'open';
  const isAway = (error: unknown) => error instanceof AppError && counts.has(error.code) && !isRefusal(error);
  const policy = circuitBreaker(
    handleWhen((error) => isAway(error) || error instanceof TaskCancelledError),
    { halfOpenAfter: probeEveryMs, breaker: new ConsecutiveBreaker(IN_A_ROW) },
  );
  const patience = timeout(PROBE_WITHIN, TimeoutStrategy.Aggressive);
  const listeners = new Set<(isOpen: boolean) => void>();
  let isOpen = false;
  let reason: AppError | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  policy.onStateChange((state) => {
    if (state === CircuitState.Open) askIn(probeEveryMs);
    if (state === CircuitState.HalfOpen || isOpen === (state === CircuitState.Open)) return;
    isOpen = !isOpen;
    for (const listener of listeners) listener(isOpen);
  });

  function askIn(ms: number): void {
    clearTimeout(timer);
    if (!closed) timer = setTimeout(ask, ms).unref();
  }

  /** Whatever it comes to, the policy knows what to do. */
  function ask(): void {
    policy
      .execute(() => patience.execute(() => probe()))
      .catch((error: unknown) => {
        if (isAway(error)) reason = error as AppError;
        // Timers may be a moment ahead of the clock that the policy goes by.
        if (error instanceof BrokenCircuitError) askIn(10);
      });
  }

  /** An error that is an answer for all that becomes a value: the policy counts it for a success. */
  async function answered<T>(call: () => Promise<T>): Promise<{ value: T } | { error: AppError }> {
    try {
      return { value: await call() };
    } catch (thrown) {
      if (isAway(thrown)) reason = thrown as AppError;
      else if (thrown instanceof AppError && isAnswer(thrown.code) && !isRefusal(thrown)) return { error: thrown };
      // What is neither, as an abort, says nothing of the dependency.
      throw thrown;
    }
  }

  return {
    async run(call) {
      if (isOpen) throw refusalOf(name, reason, probeEveryMs);
      const answer = await policy.execute(() => answered(call));
      if ('error' in answer) throw answer.error;
      return answer.value;
    },
    get refusal() {
      return isOpen ? refusalOf(name, reason, probeEveryMs) : undefined;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

function refusalOf(name: string, reason: AppError | undefined, probeEveryMs: number): AppError {
  const every = Math.ceil(probeEveryMs / 1_000);
  const details = { ...reason?.details, breaker: 'open', retryAfter: every };
  const said = reason ? ` It last said: ${reason.message}` : '';
  return new AppError(
    reason?.code ?? 'INTERNAL',
    `${name} is away, and asked every ${every} s whether it is back.${said}`,
    {
      ...{ details, cause: reason },
      ...(reason && { nextAction: reason.nextAction }),
    },
  );
}
