import { toAppError } from '#errors';
import type { Metadata } from '#metadata/metadata.ts';
import type { Batches } from '#queues/batches.ts';
import { JOBS } from '#queues/catalog.ts';
import type { Processor } from './run.ts';
import { waitAfterAttempt, waitWhileAway } from './waits.ts';

export interface BatchEndPorts {
  readonly batches: Batches;
  readonly metadata: Pick<Metadata, 'applyBatches'>;
  readonly random: () => number;
}

/** Writes the final record of a batch. A batch that Redis has forgotten needs none. */
export function batchEndProcessor(ports: BatchEndPorts): Processor<'batch-end'> {
  return async ({ batchId }, run) => {
    const batch = await ports.batches.view(batchId);
    if (!batch) return { end: 'done' };
    const { successful, failed, size: _size, ...record } = batch;
    try {
      await ports.metadata.applyBatches([{ ...record, ready: successful.length, failed: failed.length }]);
      return { end: 'done' };
    } catch (thrown) {
      const error = toAppError(thrown);
      const away = error.unavailable ? waitWhileAway(0, ports.random()) : undefined;
      if (away !== undefined) return { end: 'later', inMs: away };
      return { end: 'retry', inMs: waitAfterAttempt(run.attempt, JOBS['batch-end'].backoff, ports.random()), error };
    }
  };
}
