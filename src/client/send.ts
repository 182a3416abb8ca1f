import { readFile } from 'node:fs/promises';
import pLimit from 'p-limit';
import type { Accepted } from '#answers';
import type { EntityRef, Visibility } from '#domain';
import type { ErrorCode } from '#errors';
import { sha256 } from './checksum.ts';
import type { ReelayClient } from './client.ts';
import { closedBy, fileUnreadable, ReelayError } from './error.ts';
import type { Journal, SentFile } from './journal.ts';
import { newKey } from './key.ts';
import type { LocalFile } from './local-files.ts';
import { pathContent } from './path-content.ts';
import type { KeyedRequest } from './resume.ts';
import { contentTypeOf, type Metadata } from './upload.ts';

/** A request, and the journal that is told of it. */
export type Outgoing = KeyedRequest & { readonly journal: Journal | undefined };

/** What became of a request: accepted, refused, or never sent because an earlier one found the API closed. */
export type Sent =
  | { readonly request: Outgoing; readonly accepted: AcceptedFiles }
  | { readonly request: Outgoing; readonly error: ReelayError }
  | { readonly request: Outgoing };

/** `assetIds` are in the order of the request's files. */
interface AcceptedFiles {
  readonly batchId: string;
  readonly assetIds: string[];
  /** The API had accepted it before, from an earlier run that saw no answer. */
  readonly before: boolean;
}

interface SendOptions {
  readonly client: Pick<ReelayClient, 'uploadFile' | 'uploadFiles'>;
  readonly entity: EntityRef;
  readonly visibility: Visibility | undefined;
  readonly metadata: ((file: LocalFile) => Metadata | undefined) | undefined;
  readonly concurrency: number;
  readonly signal: AbortSignal | undefined;
  /** Bytes of files sent since the last call; negative when a try failed and starts anew. */
  readonly onBytes: (bytes: number) => void;
  readonly onSent: (sent: Sent) => void;
  /** Sees what a person should know. */
  readonly onNote: (note: string) => void;
}

/** A repeated request whose key means another one by now, or whose staged bytes another one uses. */
const TAKEN: readonly string[] = ['IDEMPOTENCY_MISMATCH', 'CONFLICT'] satisfies ErrorCode[];
const MIB = 2 ** 20;

/** Sends the requests, `concurrency` at a time. One that finds the API closed to us stops those that wait. */
export async function sendAll(requests: readonly Outgoing[], options: SendOptions): Promise<Sent[]> {
  const limit = pLimit(options.concurrency);
  let closed = false;
  return Promise.all(
    requests.map((request) =>
      limit(async (): Promise<Sent> => {
        options.signal?.throwIfAborted();
        if (closed) return { request };
        const sent = await send(request, options).catch((error: unknown): Sent => {
          if (!(error instanceof ReelayError)) throw error;
          closed ||= closedBy(error) !== undefined || error.code === 'JOURNAL_UNUSABLE';
          return { request, error };
        });
        options.onSent(sent);
        return sent;
      }),
    ),
  );
}

/** Sends one request. A file may have changed unseen since its answer was lost: then the request is a new one. */
async function send(request: Outgoing, options: SendOptions): Promise<Sent> {
  const { journal, key } = request;
  const post = request.kind === 'alone' ? await alonePost(request, options) : await inlinePost(request, options);
  await journal?.write({ kind: 'request', key, files: post.files });
  try {
    const answer = await post.send(key);
    const { batchId } = answer;
    const assetIds = idsOf(request, answer);
    await journal?.write({ kind: 'accepted', key, batchId, assetIds });
    const before = request.repeated && answer.outcome === 'duplicate';
    return { request, accepted: { batchId, assetIds, before } };
  } catch (thrown) {
    if (!(request.repeated && thrown instanceof ReelayError && TAKEN.includes(thrown.code))) throw thrown;
    return send({ ...request, key: newKey(), repeated: false, stagingId: undefined }, options);
  }
}

/** What the journal keeps of the files, and how they are sent. */
interface Post {
  readonly files: SentFile[];
  send(idempotencyKey: string): Promise<Accepted>;
}

async function alonePost(request: Outgoing, options: SendOptions): Promise<Post> {
  const { client, entity, visibility, metadata, signal, onBytes } = options;
  const { journal, key, stagingId: before } = request;
  const [file] = request.files as readonly [LocalFile];
  const { path, name: filename, assetType } = file;
  let told = 0;
  const onProgress = (bytes: number) => {
    onBytes(bytes - told);
    told = bytes;
  };
  const onStaged = async (stagingId: string, there: number) => {
    if (there > 0) options.onNote(`${filename} goes on: ${count(there)} of its ${count(file.size)} MiB are there`);
    if (stagingId !== before) await journal?.write({ kind: 'staged', key, stagingId });
  };
  return {
    files: [{ ...factsOf(file), visibility }],
    async send(idempotencyKey) {
      const content = await pathContent(path);
      const facts = { filename, assetType, visibility, metadata: metadata?.(file), onProgress };
      // Parts of another file must not be joined with what it is now.
      const stagingId = content.modifiedAt === file.modifiedAt && content.size === file.size ? before : undefined;
      const call = { signal, idempotencyKey, stagingId, ...(journal && { onStaged }) };
      return client.uploadFile({ ...entity, ...facts, ...content }, call).catch((thrown) => {
        onProgress(0);
        throw thrown;
      });
    },
  };
}

async function inlinePost({ files, bytes }: Outgoing, options: SendOptions): Promise<Post> {
  const { client, entity, visibility, metadata, signal, onBytes } = options;
  const read: ReadFile[] = [];
  for (const file of files) read.push(await readWhole(file));
  return {
    files: read.map(({ file, checksum }) => ({ ...factsOf(file), visibility, checksum })),
    async send(idempotencyKey) {
      const items = read.map(({ file, base64, checksum }) => ({
        assetType: file.assetType,
        filename: file.name,
        contentType: contentTypeOf(file.name, file.assetType),
        origin: { kind: 'inline' as const, base64 },
        checksum,
        visibility,
        metadata: metadata?.(file),
      }));
      const accepted = await client.uploadFiles({ ...entity, files: items }, { signal, idempotencyKey });
      onBytes(bytes);
      return accepted;
    },
  };
}

interface ReadFile {
  readonly file: LocalFile;
  readonly base64: string;
  readonly checksum: string;
}

async function readWhole(file: LocalFile): Promise<ReadFile> {
  const bytes = await readFile(file.path).catch((cause: unknown) => {
    throw fileUnreadable(file.path, cause);
  });
  return { file, base64: bytes.toString('base64'), checksum: sha256(bytes) };
}

const count = (bytes: number) => Math.round(bytes / MIB).toLocaleString('en');

function factsOf({ name, size, modifiedAt, assetType }: LocalFile) {
  return { name, size, modifiedAt, assetType };
}

/** Packs have an order of their own, so files are found by name; in a form, whose names are escaped, there is one. */
function idsOf({ files }: Outgoing, { jobs }: Accepted): string[] {
  const accepted = jobs.flatMap((job) => job.files);
  const byName = Map.groupBy(accepted, ({ filename }) => filename);
  const found = files.map(({ name }) => (files.length === 1 ? accepted[0] : byName.get(name)?.shift()));
  return found.map((file) => file?.assetId ?? '');
}
