import { setTimeout as pause } from 'node:timers/promises';

/** How often a pace gives out what has come due, in milliseconds. */
const TICK = 10;
/** What a process that stood still has missed is made up for, but no more than of so many milliseconds. */
const MADE_UP = 1_000;

/** So many a second, evenly: by the clock, so that being late at one time does not slow the whole down. */
export interface Pace {
  /** Waits until something is due and answers how many, `most` at the most. Rejects with the signal's reason. */
  take(most: number, signal: AbortSignal): Promise<number>;
}

/** A pace of `perSecond` by `now`, a clock in milliseconds that never jumps. It begins when it is first asked. */
export function createPace(perSecond: number, now: () => number): Pace {
  let since: number | undefined;
  let given = 0;
  return {
    async take(most, signal) {
      since ??= now();
      for (;;) {
        signal.throwIfAborted();
        const at = now();
        const due = Math.floor(((at - since) * perSecond) / 1_000) - given;
        if (due >= 1) {
          const taken = Math.min(most, due);
          const missed = due - taken - Math.max(1, (MADE_UP * perSecond) / 1_000);
          if (missed > 0) since += (missed * 1_000) / perSecond;
          given += taken;
          return taken;
        }
        const next = since + ((given + 1) * 1_000) / perSecond;
        await pause(Math.max(TICK, next - at), undefined, { signal }).catch(() => signal.throwIfAborted());
      }
    },
  };
}
