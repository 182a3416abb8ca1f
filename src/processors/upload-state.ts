import type { StoredFacts } from '#domain';
import type { AppError, ErrorFacts } from '#errors';
import type { JobFacts } from '#queues/job-facts.ts';
import { ERROR_FIELD, RETRY_FIELD } from '#queues/job-view.ts';
import type { Journal } from '#storage/store.ts';

/**
 * What an upload job remembers from start to start, in its fenced hash:
 * `end:<assetId>` `ready` or the final error; `stored:<assetId>` what the store holds, verified;
 * `part:<assetId>:…` the store's journal; `away` since when a dependency is away; `error` the last error; `retryAt` when the next try is.
 */
export interface UploadState {
  endOf(assetId: string): 'ready' | ErrorFacts | undefined;
  storedOf(assetId: string): StoredFacts | undefined;
  /** Since when a dependency is away without a file having come to its end; milliseconds since the epoch. */
  readonly awaySince: number | undefined;
  journal(assetId: string): Journal;
  writeStored(files: readonly (readonly [assetId: string, stored: StoredFacts])[]): Promise<void>;
  writeEnds(files: readonly (readonly [assetId: string, end: 'ready' | ErrorFacts])[]): Promise<void>;
  /** What keeps the job from its end, and when it is tried again; undefined for never. */
  writeTrouble(error: AppError, trouble?: { retryAt: number; awaySince: number | undefined }): Promise<void>;
}

export async function readUploadState(facts: JobFacts): Promise<UploadState> {
  const fields = await facts.read();
  const away = Number(fields.away ?? '');
  return {
    endOf(assetId) {
      const end = fields[`end:${assetId}`];
      return end === undefined || end === 'ready' ? end : (JSON.parse(end) as ErrorFacts);
    },
    storedOf(assetId) {
      const stored = fields[`stored:${assetId}`];
      return stored === undefined ? undefined : (JSON.parse(stored) as StoredFacts);
    },
    awaySince: away > 0 ? away : undefined,
    journal: (assetId) => journalOf(facts, `part:${assetId}:`),
    async writeStored(files) {
      if (files.length === 0) return;
      await facts.write(
        Object.fromEntries(files.map(([assetId, stored]) => [`stored:${assetId}`, JSON.stringify(stored)])),
      );
    },
    writeEnds: (files) =>
      facts.write(
        Object.fromEntries(
          files.map(([assetId, end]) => [`end:${assetId}`, end === 'ready' ? end : JSON.stringify(end)]),
        ),
      ),
    writeTrouble: (error, trouble) =>
      facts.write({
        [ERROR_FIELD]: JSON.stringify(error.toFacts()),
        [RETRY_FIELD]: String(trouble?.retryAt ?? ''),
        away: String(trouble?.awaySince ?? ''),
      }),
  };
}

function journalOf(facts: JobFacts, prefix: string): Journal {
  return {
    async read() {
      const entries = Object.entries(await facts.read()).filter(([field]) => field.startsWith(prefix));
      return Object.fromEntries(entries.map(([field, value]) => [field.slice(prefix.length), value]));
    },
    write: (fields) =>
      facts.write(Object.fromEntries(Object.entries(fields).map(([field, value]) => [prefix + field, value]))),
  };
}
