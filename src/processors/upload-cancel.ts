import { toAppError } from '#errors';
import type { FileEnd } from '#queues/batches.ts';
import { cancelledError } from '#queues/cancellations.ts';
import type { PackFile } from '#queues/catalog.ts';
import { quarantineKey } from '#storage/keys.ts';
import { cancelFiles } from './cancel-files.ts';
import { compensate } from './compensation.ts';
import type { Outcome } from './run.ts';
import { dropSpools, stagedKeys } from './spools.ts';
import type { UploadParts } from './upload.ts';
import { conclude, failedBefore } from './upload-conclude.ts';
import { tellBatch } from './upload-ends.ts';
import { shortWait } from './waits.ts';

/**
 * Ends a cancelled pack: what is not committed ends as `CANCELLED` in row, batch and job, and leaves nothing in the
 * store; what failed before is quarantined. First everybody is told, then it is tidied up: a store that is away has the job come back for the rest.
 */
export async function cancelPack(parts: UploadParts): Promise<Outcome> {
  const { pack, run, state, ports } = parts;
  // Fenced, and so before anything that is not.
  await state.writeTrouble(cancelledError());
  const ends = new Map(await endOpen(parts));
  const endOf = (assetId: string) => ends.get(assetId) ?? state.endOf(assetId);
  const cancelled = pack.files.filter(({ assetId }) => {
    const end = endOf(assetId);
    return typeof end === 'object' && end.code === 'CANCELLED';
  });
  if (cancelled.length === 0) {
    await ports.cancellations.overrule(pack.batchId, run.jobId);
    // Too late: all came to their ends before, and what failed has something to be tidied up.
    return conclude(parts, []);
  }
  await tidy(parts, cancelled);
  const failed = failedBefore(parts).filter(({ error }) => error.code !== 'CANCELLED');
  const { away } = failed.length > 0 ? await compensate(parts, failed) : { away: false };
  return away ? { end: 'later', inMs: shortWait(ports.random()) } : { end: 'cancelled' };
}

/** Ends each file that is open, or that waits for the end of its batch. */
async function endOpen(parts: UploadParts): Promise<FileEnd[]> {
  const { ports, pack, run, state, reporter } = parts;
  const { batchId } = pack;
  const error = cancelledError();
  const open = pack.files.filter(({ assetId }) => [undefined, 'stored'].includes(state.endOf(assetId) as undefined));
  const updates = open.map((file) => reporter.statusOf(file, 'error', { error }));
  const ready = await cancelFiles(ports, { batchId, jobId: run.jobId }, updates);

  const ends = open.map(({ assetId }): FileEnd => [assetId, ready.has(assetId) ? 'ready' : error.toFacts()]);
  await ports.storedFiles.remove(
    batchId,
    open.map(({ assetId }) => assetId),
  );
  await tellBatch(parts, ends);
  await state.writeEnds(ends);
  ports.metrics.uploads.inc({ lane: run.lane, result: 'ready' }, ready.size);
  ports.metrics.uploads.inc({ lane: run.lane, result: 'cancelled' }, open.length - ready.size);
  return ends;
}

/** Nothing of these files stays: neither begun uploads nor whole objects nor what was staged. What the store refuses to give up stays in it. */
async function tidy(parts: UploadParts, files: readonly PackFile[]): Promise<void> {
  const { ports, pack, state } = parts;
  const { store, metadata, log } = ports;
  try {
    for (const { s3Key, assetId } of files) await store.abandon(s3Key, state.journal(assetId));
    await dropSpools(parts);
    const keys = files.map(({ s3Key }) => s3Key);
    // What failed before its replay may be in quarantine.
    const quarantined = state.generation > 0 ? keys : [];
    if (quarantined.length > 0) await metadata.removeQuarantined(quarantined);
    await store.deleteMany([...keys, ...quarantined.map(quarantineKey), ...stagedKeys(pack)]);
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.unavailable) throw error;
    log.warn({ err: error, batchId: pack.batchId }, 'Bytes of a cancelled pack were left behind');
  }
}
