import type { Metadata } from '#metadata/metadata.ts';
import type { Batches } from '#queues/batches.ts';
import type { Processor } from './run.ts';

export interface BatchEndPorts {
  readonly batches: Batches;
  readonly metadata: Pick<Metadata, 'applyBatches'>;
}

/** Writes the final record of a batch. A batch that Redis has forgotten needs none. */
export function batchEndProcessor(ports: BatchEndPorts): Processor<'batch-end'> {
  return async ({ batchId }) => {
    const batch = await ports.batches.view(batchId);
    if (!batch) return { end: 'done' };
    const { successful, failed, size: _size, ...record } = batch;
    await ports.metadata.applyBatches([{ ...record, ready: successful.length, failed: failed.length }]);
    return { end: 'done' };
  };
}
