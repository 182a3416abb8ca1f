import type { StoredFacts } from '#domain';
import { AppError, toAppError } from '#errors';
import type { Logger } from '#log';
import type { Metadata } from '#metadata/metadata.ts';
import type { StoredFile, StoredFiles } from '#queues/stored-files.ts';
import type { Store } from '#storage/store.ts';
import { type QuarantinePorts, quarantineFailed } from './quarantine.ts';
import { restoreStored } from './restore-stored.ts';
import type { Run } from './run.ts';

export interface RefusalPorts extends QuarantinePorts {
  readonly store: QuarantinePorts['store'] & Pick<Store, 'copy'>;
  readonly metadata: QuarantinePorts['metadata'] & Pick<Metadata, 'getAssets' | 'removeQuarantined'>;
  readonly storedFiles: Pick<StoredFiles, 'markRefused'>;
  readonly log: Logger;
}

interface Refused {
  readonly file: StoredFile;
  readonly error: AppError;
}

/**
 * Quarantines what the end of a batch could not commit; a replay brings it back. What another end has committed since
 * stays. Answers what is away and has to be asked again, and throws nothing else than `QUEUE_UNAVAILABLE`.
 */
export async function quarantineRefused(
  ports: RefusalPorts,
  batchId: string,
  refused: readonly Refused[],
): Promise<AppError | undefined> {
  if (refused.length === 0) return undefined;
  await ports.storedFiles.markRefused(
    batchId,
    refused.map(({ file }) => file),
  );
  try {
    const rows = await ports.metadata.getAssets(refused.map(({ file }) => file.facts.assetId));
    const ready = new Set(rows.filter(({ status }) => status === 'ready').map(({ assetId }) => assetId));
    for (const { file, error } of refused) {
      const { facts, fence } = file;
      if (ready.has(facts.assetId)) continue;
      const { assetId, s3Key, entity, correlationId, jobId } = facts;
      const context = { project: entity.project, correlationId, jobId, round: fence.join('-') };
      await quarantineFailed(ports, { assetId, s3Key, ...context }, error);
    }
    return undefined;
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.unavailable) return error;
    ports.log.warn({ err: error, batchId }, 'Files whose commit was refused stay where they are for now');
    return undefined;
  }
}

/** The object of a file whose commit was refused before, in service again. Throws `OBJECT_MISSING` when it is nowhere. */
export async function bringBack(ports: RefusalPorts, { facts, stored }: StoredFile, run: Run): Promise<StoredFacts> {
  const typed = { ...stored, contentType: stored.contentType ?? facts.contentType };
  const file = { ...facts, lock: stored.lock };
  const restored = await restoreStored(ports, file, typed, { signal: run.signal, park: run.park });
  if (restored) return restored;
  throw new AppError('OBJECT_MISSING', 'The file was stored and is neither at its key nor in quarantine.');
}
