import type { UrlOrigins } from '#config';
import { AppError } from '#errors';

/** Times in milliseconds. */
export interface Waits {
  /** Until the headers are there, connecting included. */
  readonly answer: number;
  /** Until the next bytes. */
  readonly idle: number;
  /** Over which the least rate is judged. */
  readonly window: number;
}

export const WAITS: Waits = { answer: 15_000, idle: 30_000, window: 60_000 };

/** Counts what one read waits for its origin. Time in which the reader itself is busy is not the origin's fault. */
export interface Patience {
  /** Waits for `work`. Past `atMost` ms or the read's own limit it calls `giveUp`, which must have `work` reject. */
  during<T>(work: Promise<T>, atMost: number, giveUp: (why: AppError) => void): Promise<T>;
  /** Counts bytes that came. Throws `ORIGIN_UNREADABLE` when a window of waiting brought too few. */
  count(bytes: number): void;
}

/** `clock` in milliseconds, never going back. */
export function createPatience(limits: UrlOrigins, window: number, clock: () => number): Patience {
  const { maxSeconds, minBytesPerSecond } = limits;
  let left = maxSeconds * 1_000;
  let waited = 0;
  let received = 0;

  return {
    async during(work, atMost, giveUp) {
      const started = clock();
      const why =
        left <= atMost
          ? `was not read within ${maxSeconds} s of waiting`
          : `let us wait for more than ${atMost / 1_000} s`;
      const timer = setTimeout(() => giveUp(tooSlow(why)), Math.max(0, Math.min(left, atMost)));
      try {
        return await work;
      } finally {
        clearTimeout(timer);
        const spent = clock() - started;
        left -= spent;
        waited += spent;
      }
    },
    count(bytes) {
      received += bytes;
      if (waited < window) return;
      if (received * 1_000 < minBytesPerSecond * waited) {
        throw tooSlow(`sends fewer than ${minBytesPerSecond} bytes a second`);
      }
      waited = 0;
      received = 0;
    },
  };
}

function tooSlow(what: string): AppError {
  return new AppError('ORIGIN_UNREADABLE', `The URL ${what}.`);
}
