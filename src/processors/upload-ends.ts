import type { FileEnd } from '#queues/batches.ts';
import type { UploadParts } from './upload.ts';

/** Writes the ends of files into the record of their batch, and has the batch end once none is missing. */
export async function tellBatch({ ports, pack, run, state }: UploadParts, ends: readonly FileEnd[]): Promise<void> {
  const { batchId, correlationId } = pack;
  const { last } = await ports.batches.finish(batchId, ends);
  if (!last) return;
  // The end that follows a start of a replay is named apart from any before: that one may be at work, or a dead letter.
  const replay = `${run.jobId.slice(batchId.length + 1)}-${state.generation}-${run.starts}`;
  await ports.endBatch(batchId, correlationId, state.generation === 0 ? undefined : replay);
}
