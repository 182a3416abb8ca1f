import { readFile } from 'node:fs/promises';
import pLimit from 'p-limit';
import type { Visibility } from '#domain';
import { sha256 } from './checksum.ts';
import type { ReelayClient } from './client.ts';
import { ReelayError } from './error.ts';
import { assetDone } from './follow.ts';
import type { Earlier, Past, SentFile } from './journal.ts';
import { newKey } from './key.ts';
import type { LocalFile, LocalGroup } from './local-files.ts';
import { planRequests, type Request, repeatRequest } from './requests.ts';

/** A request under its idempotency key. */
export type KeyedRequest = Request & {
  readonly key: string;
  /** An earlier run sent it, or some of it, and saw no answer. */
  readonly repeated: boolean;
  /** Where that run put the bytes of its large file. */
  readonly stagingId?: string | undefined;
};

/** A file that an earlier run sent and the API still has. */
export interface Known {
  readonly file: LocalFile;
  readonly assetId: string;
  readonly batchId: string;
  readonly ready: boolean;
}

interface ResumeOptions {
  readonly client: Pick<ReelayClient, 'getAssetUrls' | 'getAsset'>;
  readonly visibility: Visibility | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The most ids a lookup takes. */
const LOOKUP = 1_000;
const READS_AT_ONCE = 8;

/**
 * Divides the files of a group into what an earlier run sent and the API still has, and the requests that are left:
 * first those whose answer was lost, under their own keys, then all else. A file that changed or failed is sent anew.
 */
export async function resume(
  { files, named }: LocalGroup,
  past: Past | undefined,
  options: ResumeOptions,
): Promise<{ known: Known[]; requests: KeyedRequest[] }> {
  const unchanged = new Map<LocalFile, Earlier>();
  for (const file of files) {
    const earlier = past?.earlier.get(file.name);
    if (named && earlier?.accepted) continue;
    if (earlier && (await isSame(file, earlier.file, options.visibility))) unchanged.set(file, earlier);
  }
  const known = await stillKnown(unchanged, options);
  const repeated = past ? unanswered(past, unchanged) : [];
  const settled = new Set([...known.map(({ file }) => file), ...repeated.flatMap((request) => request.files)]);
  const left = planRequests(files.filter((file) => !settled.has(file)));
  const fresh = left.map((request): KeyedRequest => ({ ...request, key: newKey(), repeated: false }));
  return { known, requests: [...repeated, ...fresh] };
}

/** A file that was only touched is the same when its checksum is known and says so. */
async function isSame(file: LocalFile, sent: SentFile, visibility: Visibility | undefined): Promise<boolean> {
  if (file.size !== sent.size || file.assetType !== sent.assetType || visibility !== sent.visibility) return false;
  if (file.modifiedAt === sent.modifiedAt) return true;
  if (sent.checksum === undefined) return false;
  const bytes = await readFile(file.path).catch(() => Buffer.alloc(0));
  return sha256(bytes) === sent.checksum;
}

/** Requests without an answer that can be sent once more as they were: no file of theirs changed or went another way. */
function unanswered({ requests, staged }: Past, unchanged: ReadonlyMap<LocalFile, Earlier>): KeyedRequest[] {
  const byName = new Map<string, { file: LocalFile; key: string }>();
  for (const [file, { key, accepted }] of unchanged) if (!accepted) byName.set(file.name, { file, key });
  const keys = new Set([...byName.values()].map(({ key }) => key));
  return [...keys].flatMap((key): KeyedRequest[] => {
    const names = requests.get(key) ?? [];
    const files = names.flatMap(({ name }) => {
      const found = byName.get(name);
      return found?.key === key ? found.file : [];
    });
    const stagingId = staged.get(key);
    return files.length === names.length ? [{ ...repeatRequest(files), key, repeated: true, stagingId }] : [];
  });
}

/** Asks the API for what the journal calls accepted: it may have failed, been deleted, or be unknown to a new API. */
async function stillKnown(unchanged: ReadonlyMap<LocalFile, Earlier>, options: ResumeOptions): Promise<Known[]> {
  const accepted = [...unchanged].flatMap(([file, { accepted }]) => (accepted ? { file, ...accepted } : []));
  const known: Known[] = [];
  for (let from = 0; from < accepted.length; from += LOOKUP) {
    const some = accepted.slice(from, from + LOOKUP);
    const standings = await standingsOf(
      some.map(({ assetId }) => assetId),
      options,
    );
    for (const [index, one] of some.entries()) {
      const standing = standings[index];
      if (standing !== 'lost') known.push({ ...one, ready: standing === 'ready' });
    }
  }
  return known;
}

type Standing = 'ready' | 'under way' | 'lost';

async function standingsOf(assetIds: readonly string[], { client, signal }: ResumeOptions): Promise<Standing[]> {
  const limit = pLimit(READS_AT_ONCE);
  const answers = await client.getAssetUrls(assetIds, { signal });
  return Promise.all(
    answers.map((answer): Standing | Promise<Standing> => {
      if ('url' in answer) return 'ready';
      const { code } = answer.error;
      if (code === 'CONFLICT' || code === 'GONE') return 'lost';
      if (code !== 'NOT_FOUND') return 'under way';
      // What was accepted a moment ago has no row to make a URL from.
      return limit(() => standingOf(client, answer.assetId, signal));
    }),
  );
}

async function standingOf(
  client: ResumeOptions['client'],
  assetId: string,
  signal: AbortSignal | undefined,
): Promise<Standing> {
  try {
    const asset = await client.getAsset(assetId, { signal });
    if (asset.status === 'ready') return 'ready';
    return assetDone(asset) ? 'lost' : 'under way';
  } catch (thrown) {
    if (thrown instanceof ReelayError && (thrown.code === 'NOT_FOUND' || thrown.code === 'GONE')) return 'lost';
    throw thrown;
  }
}
