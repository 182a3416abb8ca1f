import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { ASSET_TYPES, type EntityRef } from '#domain';
import { ReelayError, wordsOf } from './error.ts';

/** A file as it was when it was sent. `modifiedAt` is milliseconds since the epoch, `checksum` SHA-256 in hex. */
const sentFile = z.object({
  name: z.string(),
  size: z.number(),
  modifiedAt: z.number(),
  assetType: z.enum(ASSET_TYPES),
  visibility: z.enum(['private', 'public']).optional(),
  checksum: z.string().optional(),
});
export type SentFile = z.infer<typeof sentFile>;

const line = z.discriminatedUnion('kind', [
  /** Written before the request is sent. */
  z.object({ kind: z.literal('request'), key: z.string(), files: z.array(sentFile).min(1) }),
  /** Written before the first byte of a large file, which goes by staging. */
  z.object({ kind: z.literal('staged'), key: z.string(), stagingId: z.string() }),
  /** Written when the API has accepted it; the ids are in the order of its files. */
  z.object({ kind: z.literal('accepted'), key: z.string(), batchId: z.string(), assetIds: z.array(z.string()) }),
]);
type JournalLine = z.infer<typeof line>;

/** What an earlier run of the same upload did with a file, last of all. */
export interface Earlier {
  readonly file: SentFile;
  /** Idempotency key of the request it travelled in. */
  readonly key: string;
  /** Absent when no answer was seen. */
  readonly accepted?: { readonly batchId: string; readonly assetId: string } | undefined;
}

/** What a journal tells of earlier runs. */
export interface Past {
  /** By name of the file, the latest request that carried it. */
  readonly earlier: ReadonlyMap<string, Earlier>;
  /** Files of each request that was begun, by its key. */
  readonly requests: ReadonlyMap<string, readonly SentFile[]>;
  /** Where the bytes of a request's large file are, by its key. */
  readonly staged: ReadonlyMap<string, string>;
}

/**
 * What was sent of a folder or a large file, on this machine's disk: a line of JSON for each request before it is sent,
 * and for each acceptance. A process that is killed at any moment leaves a journal that its next run goes on from.
 */
export interface Journal extends Past {
  /** Resolves once the line is on disk; lines written meanwhile share one sync. */
  write(entry: JournalLine): Promise<void>;
  close(): Promise<void>;
}

/** Where a journal is: one for each API, entity, and folder or file by its real path, below `XDG_STATE_HOME`. */
export function journalPath(apiUrl: string, entity: EntityRef, of: string, env: NodeJS.ProcessEnv): string {
  const { project, session, scene = null } = entity;
  const upload = JSON.stringify([new URL(apiUrl).href, project, session, scene, of]);
  const name = createHash('sha256').update(upload).digest('hex').slice(0, 32);
  const state = env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state');
  return join(state, 'reelay', 'uploads', `${name}.jsonl`);
}

/** Opens the journal, or begins it; `fresh` forgets what was in it. Throws `JOURNAL_UNUSABLE`. */
export async function openJournal(path: string, fresh: boolean): Promise<Journal> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const text = fresh ? '' : await readText(path);
    const file = await open(path, fresh ? 'w' : 'a', 0o600);
    // A killed process may have left half a line; it must not swallow the next one.
    if (text !== '' && !text.endsWith('\n')) await file.appendFile('\n');
    return { ...replay(text), ...writer(file, path), close: () => file.close() };
  } catch (cause) {
    throw unusable(path, cause);
  }
}

/** What is in a journal, which is left alone; nothing when there is none. Throws `JOURNAL_UNUSABLE`. */
export async function readJournal(path: string): Promise<Past> {
  const text = await readText(path).catch((cause: unknown) => {
    throw unusable(path, cause);
  });
  return replay(text);
}

async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === 'ENOENT') return '';
    throw thrown;
  });
}

function replay(text: string): Past {
  const earlier = new Map<string, Earlier>();
  const requests = new Map<string, readonly SentFile[]>();
  const staged = new Map<string, string>();
  for (const entry of text.split('\n').flatMap(parseLine)) {
    if (entry.kind === 'request') requests.set(entry.key, entry.files);
    if (entry.kind === 'staged') {
      staged.set(entry.key, entry.stagingId);
      continue;
    }
    const { key } = entry;
    for (const [index, file] of (requests.get(key) ?? []).entries()) {
      if (entry.kind === 'request') earlier.set(file.name, { file, key });
      else if (earlier.get(file.name)?.key === key) {
        const assetId = entry.assetIds[index];
        if (assetId) earlier.set(file.name, { file, key, accepted: { batchId: entry.batchId, assetId } });
      }
    }
  }
  return { earlier, requests, staged };
}

/** A line that cannot be read was being written when the process died: what it said had not been done yet. */
function parseLine(text: string): JournalLine[] {
  try {
    return [line.parse(JSON.parse(text))];
  } catch {
    return [];
  }
}

function writer(file: FileHandle, path: string): Pick<Journal, 'write'> {
  let waiting = '';
  let next: Promise<void> | undefined;
  let last: Promise<void> = Promise.resolve();

  async function flush(): Promise<void> {
    const text = waiting;
    waiting = '';
    next = undefined;
    await file.appendFile(text);
    await file.datasync();
  }
  return {
    write(entry) {
      waiting += `${JSON.stringify(entry)}\n`;
      next ??= last = last.then(flush).catch((cause: unknown) => {
        throw unusable(path, cause);
      });
      return next;
    },
  };
}

function unusable(path: string, cause: unknown): ReelayError {
  return new ReelayError(
    {
      code: 'JOURNAL_UNUSABLE',
      message: `The journal ${path} cannot be used (${wordsOf(cause)}).`,
      retryable: false,
      nextAction: 'Free room and give rights there, or name another folder in XDG_STATE_HOME.',
      details: { path },
    },
    { cause },
  );
}
