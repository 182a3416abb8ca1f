import type { Pack, PackFile } from '#queues/catalog.ts';
import { quarantineKey, stagingKey } from '#storage/keys.ts';
import type { Spool } from '#storage/spool.ts';
import type { UploadParts } from './upload.ts';

/**
 * Where the bytes behind a URL wait if they can be read in one go only, the same for every start of the job. Undefined for
 * any other origin, and for files that share a pack: these are small.
 */
export function spoolOf(parts: Pick<UploadParts, 'pack' | 'run' | 'state'>, file: PackFile): Spool | undefined {
  const { pack, run, state } = parts;
  if (file.origin.kind !== 'url' || pack.files.length > 1) return undefined;
  return { key: stagingKey(pack.batchId, `spool-${run.jobId}`), journal: state.journal(`${file.assetId}:spool`) };
}

/** Id of the job whose spool is at `key`; undefined for other staged bytes. */
export function spoolingJob(key: string): string | undefined {
  return /^staging\/[^/]+\/spool-(.+)$/.exec(key)?.[1];
}

/** Ends for good what is spooled of a pack that failed or was cancelled. Its replay reads the origins again. */
export async function dropSpools(parts: UploadParts): Promise<void> {
  const { store } = parts.ports;
  for (const { key, journal } of await begunSpools(parts)) {
    await store.abandon(key, journal);
    await store.deleteMany([key, quarantineKey(key)]);
  }
}

/** Keys under `staging/` that nobody needs once the pack's files are committed. */
export async function needlessKeys(parts: UploadParts): Promise<string[]> {
  const spools = await begunSpools(parts);
  return [...stagedKeys(parts.pack), ...spools.map(({ key }) => key)];
}

/** Keys of the staged objects that the pack's files come from. */
export function stagedKeys(pack: Pack): string[] {
  return [...new Set(pack.files.flatMap(({ origin }) => (origin.kind === 'staged' ? [origin.key] : [])))];
}

/** Spools of the pack that were begun, in this start or before. */
async function begunSpools(parts: UploadParts): Promise<Spool[]> {
  const spools = parts.pack.files.flatMap((file) => spoolOf(parts, file) ?? []);
  const fields = await Promise.all(spools.map(({ journal }) => journal.read()));
  return spools.filter((_, index) => Object.keys(fields[index] ?? {}).length > 0);
}
