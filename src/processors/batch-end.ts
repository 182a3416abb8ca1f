import { AppError } from '#errors';
import type { Metadata } from '#metadata/metadata.ts';
import type { FollowUps } from '#queues/follow-ups.ts';
import type { OpenBatches } from '#queues/open-batches.ts';
import { type BatchCommitPorts, commitBatch } from './batch-commit.ts';
import type { Processor } from './run.ts';

export interface BatchEndPorts extends BatchCommitPorts, Pick<FollowUps, 'recount'> {
  readonly openBatches: Pick<OpenBatches, 'close'>;
  readonly metadata: BatchCommitPorts['metadata'] & Pick<Metadata, 'applyBatches' | 'getAssets'>;
}

/**
 * Commits what the batch left to its end, has its session recounted, and writes its final record. A batch whose record
 * Redis has forgotten needs none.
 * Files whose commit was refused make it a dead letter: its replay asks for them again.
 */
export function batchEndProcessor(ports: BatchEndPorts): Processor<'batch-end'> {
  return async ({ batchId }, run) => {
    const { refused, untidied } = await commitBatch(ports, batchId, run);
    const batch = await ports.batches.view(batchId);
    if (batch) {
      const { successful, failed, size: _size, ...record } = batch;
      await recountSession(ports, successful);
      await ports.metadata.applyBatches([{ ...record, ready: successful.length, failed: failed.length }]);
    }
    if (!batch || batch.state === 'done') await ports.openBatches.close(batchId);
    // Everybody has been told: what is left is asked for again, and what was refused with it.
    if (untidied) throw untidied;
    const [first] = refused;
    if (!first) return { end: 'done' };
    const count = batch ? `${refused.length} of ${batch.total}` : refused.length;
    const message = `The commit of ${count} files was refused: ${first.message}`;
    return { end: 'failed', error: new AppError(first.code, message, { details: { ...first.details }, cause: first }) };
  };
}

/** The files of a batch are all of one session, which their rows tell. */
async function recountSession({ metadata, recount }: BatchEndPorts, [first]: readonly string[]): Promise<void> {
  const [row] = first === undefined ? [] : await metadata.getAssets([first]);
  if (row) await recount(row.entity.project, row.entity.session);
}
