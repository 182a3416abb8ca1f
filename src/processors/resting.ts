import type { Breakers } from '#breakers/breakers.ts';
import type { Lane } from '#queues/catalog.ts';
import type { LaneWorker } from './worker.ts';

/** Lanes whose every job brings bytes to the store, or commits what it brought there. */
const OF_THE_STORE: ReadonlySet<Lane> = new Set<Lane>(['small', 'large']);

/**
 * Lets the lanes of the store rest while its breaker is open: each job would only find out that it is away, and wait.
 * Gives what ends that.
 */
export function restWhileAway(store: Breakers['store'], workers: ReadonlyMap<Lane, LaneWorker>): () => void {
  const rest = (isOpen: boolean) => {
    for (const [lane, worker] of workers) if (OF_THE_STORE.has(lane)) void worker.rest(isOpen);
  };
  if (store.refusal) rest(true);
  return store.onChange(rest);
}
