import { setTimeout as sleep } from 'node:timers/promises';

/** Waits, or rejects with the signal's reason as soon as it is aborted. */
export type Pause = (milliseconds: number, signal?: AbortSignal) => Promise<void>;

/** The pause of the real clock. */
export async function pauseFor(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, signal ? { signal } : {}).catch((thrown: unknown) => {
    throw signal?.aborted ? signal.reason : thrown;
  });
}
