import pLimit from 'p-limit';
import type { Batch, ErrorFacts, ReelayClient } from '#client/client.ts';
import type { Skipped } from './collect.ts';
import { count, errorText, factsOf, table } from './output.ts';
import type { Sent } from './send.ts';

/** What became of one file. */
interface FileReport {
  readonly name: string;
  readonly status: 'ready' | 'error' | 'accepted' | 'not sent';
  readonly assetId?: string | undefined;
  readonly batchId?: string | undefined;
  readonly version?: number | undefined;
  readonly error?: Omit<ErrorFacts, 'code'> & { readonly code: string };
}

/** Beyond as many files the table shows those only that are not ready. */
const ROWS = 100;
const READS_AT_ONCE = 8;

/** Joins what was sent with how its batches ended; a batch not in `ended` is accepted and goes on. */
export function reportFiles(sent: readonly Sent[], ended: ReadonlyMap<string, Batch>): FileReport[] {
  return sent.flatMap((one): FileReport[] => {
    if ('error' in one) {
      const error = factsOf(one.error);
      return one.request.files.map(({ name }) => ({ name, status: 'error', error }));
    }
    if (!('accepted' in one)) return one.request.files.map(({ name }) => ({ name, status: 'not sent' }));
    const { batchId, jobs } = one.accepted;
    const batch = ended.get(batchId);
    const failed = new Map(batch?.failed.map(({ assetId, error }) => [assetId, error]));
    return jobs.flatMap(({ files }) =>
      files.map(({ assetId, filename: name }): FileReport => {
        const error = failed.get(assetId);
        if (error) return { name, status: 'error', assetId, batchId, error };
        return { name, status: batch ? 'ready' : 'accepted', assetId, batchId };
      }),
    );
  });
}

/** True when the table would be too long, so that it leaves out what is ready. */
export function isLong(files: readonly FileReport[]): boolean {
  return files.length > ROWS;
}

/** The same files with the versions of those that are ready. */
export async function withVersions(
  client: ReelayClient,
  files: readonly FileReport[],
  signal: AbortSignal,
): Promise<FileReport[]> {
  const limit = pLimit(READS_AT_ONCE);
  return Promise.all(
    files.map((file) =>
      limit(async () => {
        if (file.status !== 'ready' || file.assetId === undefined) return file;
        const { version } = await client.getAsset(file.assetId, { signal });
        return { ...file, version };
      }),
    ),
  );
}

/** The table of an upload, its errors with their next actions, and a last line that counts. */
export function reportText(files: readonly FileReport[]): string {
  const shown = isLong(files) ? files.filter(({ status }) => status !== 'ready') : files;
  const rows = shown.map(({ assetId, name, status, version }) => [
    assetId ?? '-',
    name,
    version === undefined ? status : `${status} v${version}`,
  ]);
  const errors = shown.flatMap(({ name, error }) => (error ? [`${name}\n${errorText(error, '  ')}`] : []));
  const counts = (['ready', 'accepted', 'error', 'not sent'] as const)
    .map((status) => [files.filter((file) => file.status === status).length, status] as const)
    .filter(([n]) => n > 0)
    .map(([n, status]) => `${n.toLocaleString('en')} ${status}`);
  const heading = rows.length > 0 ? [table([['ASSET', 'FILE', 'STATUS'], ...rows])] : [];
  return [...heading, ...errors, `${count(files.length, 'file')}: ${counts.join(', ')}`].join('\n');
}

/** The same for programs. */
export function reportDocument(files: readonly FileReport[], skipped: readonly Skipped[]) {
  const batches = [...new Set(files.flatMap(({ batchId }) => batchId ?? []))];
  const of = (status: FileReport['status']) => files.filter((file) => file.status === status).length;
  return { batches, total: files.length, ready: of('ready'), failed: of('error') + of('not sent'), files, skipped };
}
