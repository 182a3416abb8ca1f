import { setTimeout as pause } from 'node:timers/promises';

/** Sends what waits in Redis to Convex, again and again. */
export interface FlushLoop {
  /** Begins to flush by itself. */
  start(): void;
  /** Ends that, once the flush under way has ended, or after 5 s without it: what it did not delete is sent again. */
  stop(): Promise<void>;
}

interface FlushLoopOptions {
  /** Sends what waits until nothing does; what is unsent when it throws stays. */
  readonly flush: () => Promise<void>;
  /** Milliseconds from the end of a flush to the next one; after failures it doubles, up to 5 s. */
  readonly intervalMs: number;
  /** Told why a flush failed. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

const LONGEST_WAIT = 5_000;

/** Calls `flush` every `intervalMs`, less often while it fails; errors go to `onError`. */
export function createFlushLoop({ flush, intervalMs, onError }: FlushLoopOptions): FlushLoop {
  let loop: { readonly stopping: AbortController; readonly ended: Promise<void> } | undefined;

  async function run(stopping: AbortSignal): Promise<void> {
    let wait = intervalMs;
    while (!stopping.aborted) {
      try {
        await flush();
        wait = intervalMs;
      } catch (error) {
        onError?.(error);
        wait = Math.min(wait * 2, LONGEST_WAIT);
      }
      await pause(wait, undefined, { signal: stopping }).catch(() => undefined);
    }
  }

  return {
    start() {
      if (loop) return;
      const stopping = new AbortController();
      loop = { stopping, ended: run(stopping.signal) };
    },
    async stop() {
      loop?.stopping.abort();
      await Promise.race([loop?.ended, pause(LONGEST_WAIT, undefined, { ref: false })]);
      loop = undefined;
    },
  };
}
