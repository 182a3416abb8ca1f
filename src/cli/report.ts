import pLimit from 'p-limit';
import type { FileReport, ReelayClient, Skipped } from '#client/node.ts';
import { count, errorText, table } from './output.ts';

/** A file with its version, where that was asked for. */
type Versioned = FileReport & { readonly version?: number | undefined };

/** Beyond as many files the table shows those only that are not ready. */
const ROWS = 100;
const READS_AT_ONCE = 8;

/** True when the table would be too long, so that it leaves out what is ready. */
export function isLong(files: readonly FileReport[]): boolean {
  return files.length > ROWS;
}

/** The same files with the versions of those that are ready. */
export async function withVersions(
  client: Pick<ReelayClient, 'getAsset'>,
  files: readonly FileReport[],
  signal: AbortSignal,
): Promise<Versioned[]> {
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
export function reportText(files: readonly Versioned[]): string {
  const shown = isLong(files) ? files.filter(({ status }) => status !== 'ready') : files;
  const rows = shown.map(({ assetId, name, status, version, already }) => [
    assetId ?? '-',
    name,
    (version === undefined ? status : `${status} v${version}`) + (already ? ', was there' : ''),
  ]);
  const errors = shown.flatMap(({ name, error }) => (error ? [`${name}\n${errorText(error, '  ')}`] : []));
  const counts = (['ready', 'accepted', 'error', 'not sent'] as const)
    .map((status) => [files.filter((file) => file.status === status).length, status] as const)
    .filter(([n]) => n > 0)
    .map(([n, status]) => `${n.toLocaleString('en')} ${status}`);
  const already = files.filter((file) => file.already).length;
  const there = already > 0 ? `; ${already.toLocaleString('en')} of them were already there` : '';
  const heading = rows.length > 0 ? [table([['ASSET', 'FILE', 'STATUS'], ...rows])] : [];
  return [...heading, ...errors, `${count(files.length, 'file')}: ${counts.join(', ')}${there}`].join('\n');
}

/** The same for programs. */
export function reportDocument(files: readonly Versioned[], skipped: readonly Skipped[]) {
  const batches = [...new Set(files.flatMap(({ batchId }) => batchId ?? []))];
  const of = (status: FileReport['status']) => files.filter((file) => file.status === status).length;
  return {
    batches,
    total: files.length,
    ready: of('ready'),
    failed: of('error') + of('not sent'),
    already: files.filter((file) => file.already).length,
    files,
    skipped,
  };
}
