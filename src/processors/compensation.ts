import type { FileEnd } from '#queues/batches.ts';
import { errorOf } from './attempt.ts';
import { quarantineFailed } from './quarantine.ts';
import { dropSpools } from './spools.ts';
import type { UploadParts } from './upload.ts';
import type { Failure } from './upload-conclude.ts';
import { tellBatch } from './upload-ends.ts';

/** What became of failed files' remains. */
interface Compensated {
  /** Ids of those that Convex had committed after all: they have not failed. */
  readonly committed: ReadonlySet<string>;
  /** True when store or metadata are away: the rest is for a later start. */
  readonly away: boolean;
}

const NONE: ReadonlySet<string> = new Set();

/**
 * Takes back what files left behind that failed for good, once everybody was told: begun puts are abandoned, and what
 * was stored and never committed, or is not what it was to be, is quarantined and noted. Every step can run twice. What
 * store or metadata refuse to do is left to the reconciliation, with a warning.
 */
export async function compensate(parts: UploadParts, failed: readonly Failure[]): Promise<Compensated> {
  const { ports, pack, run } = parts;
  let committed = NONE;
  try {
    await abandonPuts(parts, failed);
    committed = await keepCommitted(parts, failed);
    await quarantine(
      parts,
      failed.filter(({ file }) => !committed.has(file.assetId)),
    );
  } catch (thrown) {
    const error = errorOf(run, thrown);
    // Redis itself: nothing can be noted, not even that.
    if (error.code === 'QUEUE_UNAVAILABLE') throw error;
    if (error.unavailable) return { committed, away: true };
    ports.log.warn({ err: error, batchId: pack.batchId }, 'What failed files left behind stays for now');
  }
  return { committed, away: false };
}

/** Only a file that is alone in its pack has a journal. */
async function abandonPuts(parts: UploadParts, failed: readonly Failure[]): Promise<void> {
  const { ports, pack, state } = parts;
  if (pack.files.length > 1) return;
  for (const { file } of failed) await ports.store.abandon(file.s3Key, state.journal(file.assetId));
  await dropSpools(parts);
}

/** A commit whose answer never came may have been made: Convex knows. */
async function keepCommitted(parts: UploadParts, failed: readonly Failure[]): Promise<ReadonlySet<string>> {
  const { ports, state } = parts;
  const ids = failed.map(({ file }) => file.assetId).filter((assetId) => state.storedOf(assetId));
  if (ids.length === 0) return NONE;
  const rows = await ports.metadata.getAssets(ids);
  const ends = rows.filter(({ status }) => status === 'ready').map(({ assetId }): FileEnd => [assetId, 'ready']);
  if (ends.length > 0) {
    await tellBatch(parts, ends);
    await state.writeEnds(ends);
  }
  return new Set(ends.map(([assetId]) => assetId));
}

async function quarantine({ ports, pack, run, state }: UploadParts, failed: readonly Failure[]): Promise<void> {
  const { entity, correlationId } = pack;
  for (const { file, error } of failed) {
    const { assetId, s3Key } = file;
    if (!state.storedOf(assetId) && error.details.quarantined !== true) continue;
    const context = { project: entity.project, correlationId, jobId: run.jobId, round: state.generation };
    await quarantineFailed(ports, { assetId, s3Key, ...context }, error);
  }
}
