import { AppError } from '#errors';
import type { Metadata } from '#metadata/metadata.ts';
import { type BatchCommitPorts, commitBatch } from './batch-commit.ts';
import type { Processor } from './run.ts';

export interface BatchEndPorts extends BatchCommitPorts {
  readonly metadata: BatchCommitPorts['metadata'] & Pick<Metadata, 'applyBatches'>;
}

/**
 * Commits what the batch left to its end, and writes its final record. A batch that Redis has forgotten needs none.
 * Files whose commit was refused make it a dead letter: its replay asks for them again.
 */
export function batchEndProcessor(ports: BatchEndPorts): Processor<'batch-end'> {
  return async ({ batchId }, run) => {
    const { refused, undeleted } = await commitBatch(ports, batchId, run);
    const batch = await ports.batches.view(batchId);
    if (!batch) return { end: 'done' };
    const { successful, failed, size: _size, ...record } = batch;
    await ports.metadata.applyBatches([{ ...record, ready: successful.length, failed: failed.length }]);
    // Everybody has been told: what is left is asked for again, and what was refused with it.
    if (undeleted) throw undeleted;
    const [first] = refused;
    if (!first) return { end: 'done' };
    const message = `The commit of ${refused.length} of ${batch.total} files was refused: ${first.message}`;
    return { end: 'failed', error: new AppError(first.code, message, { details: { ...first.details }, cause: first }) };
  };
}
