import { AppError } from '#errors';

/** How long a file may take: a while for its own sake, and more for each byte that has moved. */
export interface TimeAllowance {
  readonly baseMs: number;
  /** The least rate at which bytes have to move on the whole. */
  readonly bytesPerSecond: number;
}

interface TimeWatch {
  /** Aborted with `TIMED_OUT`, or what `reason` made of it, once the file has taken longer than it may. */
  readonly signal: AbortSignal;
  /** Bytes that have moved so far. */
  moved(bytes: number): void;
  stop(): void;
}

/**
 * Starts to watch one try of a file. Judged by what has moved and not by what is to come: a film that stalls after its
 * first part ends as early as a script that does. `now` is in milliseconds and never jumps; `reason` may name another
 * cause at that moment.
 */
export function watchTime(
  { baseMs, bytesPerSecond }: TimeAllowance,
  now: () => number,
  reason: (timedOut: AppError) => AppError = (timedOut) => timedOut,
): TimeWatch {
  const controller = new AbortController();
  const started = now();
  let bytes = 0;
  let timer: NodeJS.Timeout;
  const left = () => started + baseMs + (bytes / bytesPerSecond) * 1_000 - now();
  const look = () => {
    const ms = left();
    if (ms > 0) timer = setTimeout(look, Math.min(ms, LONGEST_TIMER));
    else controller.abort(reason(timedOut(now() - started, bytes)));
  };
  look();
  return {
    signal: controller.signal,
    moved(done) {
      bytes = Math.max(bytes, done);
    },
    stop: () => clearTimeout(timer),
  };
}

/** What Node's timers can wait at the most. */
const LONGEST_TIMER = 2 ** 31 - 1;

function timedOut(tookMs: number, bytes: number): AppError {
  const seconds = Math.round(tookMs / 1_000);
  return new AppError('TIMED_OUT', `The file moved ${bytes} bytes in ${seconds} s, which is slower than it may be.`, {
    details: { bytes, seconds },
  });
}
