import { readFile } from 'node:fs/promises';
import pLimit from 'p-limit';
import { type Accepted, type ReelayClient, ReelayError } from '#client/client.ts';
import { fileUnreadable } from '#client/error.ts';
import { contentTypeOf } from '#client/upload.ts';
import type { EntityRef, Visibility } from '#domain';
import type { LocalFile } from './collect.ts';
import { EXIT, exitOf } from './exit.ts';
import type { Request } from './requests.ts';

/** What became of a request: accepted, refused, or never sent because an earlier one found the API closed. */
export type Sent =
  | { readonly request: Request; readonly accepted: Accepted }
  | { readonly request: Request; readonly error: ReelayError }
  | { readonly request: Request };

interface SendOptions {
  readonly client: ReelayClient;
  readonly entity: EntityRef;
  readonly visibility: Visibility | undefined;
  readonly concurrency: number;
  readonly signal: AbortSignal;
  /** Bytes of files sent since the last call. */
  readonly onBytes: (bytes: number) => void;
  readonly onSent: (sent: Sent) => void;
}

/** Sends the requests, `concurrency` at a time. One that finds the API closed to us stops those that wait. */
export async function sendAll(requests: readonly Request[], options: SendOptions): Promise<Sent[]> {
  const limit = pLimit(options.concurrency);
  let closed = false;
  return Promise.all(
    requests.map((request) =>
      limit(async (): Promise<Sent> => {
        options.signal.throwIfAborted();
        if (closed) return { request };
        const sent = await send(request, options).catch((error: unknown): Sent => {
          if (!(error instanceof ReelayError)) throw error;
          closed ||= exitOf(error) !== EXIT.failed;
          return { request, error };
        });
        options.onSent(sent);
        return sent;
      }),
    ),
  );
}

async function send(request: Request, options: SendOptions): Promise<Sent> {
  const { client, entity, visibility, signal, onBytes } = options;
  if (request.kind === 'form') {
    const [{ path, name: filename, assetType }] = request.files;
    let before = 0;
    const onProgress = (bytes: number) => {
      onBytes(bytes - before);
      before = bytes;
    };
    const file = { ...entity, path, filename, assetType, visibility, onProgress };
    return { request, accepted: await client.uploadFile(file, { signal }) };
  }
  const files = [];
  for (const file of request.files) files.push(await inline(file, visibility));
  const accepted = await client.uploadFiles({ ...entity, files }, { signal });
  onBytes(request.bytes);
  return { request, accepted };
}

async function inline({ path, name: filename, assetType }: LocalFile, visibility: Visibility | undefined) {
  const base64 = await readFile(path, 'base64').catch((cause: unknown) => {
    throw fileUnreadable(path, cause);
  });
  const contentType = contentTypeOf(filename, assetType);
  return {
    assetType,
    filename,
    contentType,
    origin: { kind: 'inline', base64 },
    ...(visibility && { visibility }),
  } as const;
}
