import mime from 'mime';
import { type Accepted, accepted, type Planned, planned } from '#answers';
import type { AssetType, EntityRef, Visibility } from '#domain';
import { type FileContent, type OpenedFile, openContent, type PartedContent } from './content.ts';
import { form } from './form.ts';
import { json } from './json.ts';
import { newKey } from './key.ts';
import type { CallOptions } from './retry.ts';
import { type StagingOptions, uploadStaged } from './staged.ts';
import type { Transport } from './transport.ts';

/** What a caller keeps with an asset, as JSON. */
export type Metadata = Readonly<Record<string, unknown>>;

export interface UploadOptions extends CallOptions {
  /**
   * Names the request for a day: sent again under the same key it is the same upload, with `outcome: "duplicate"`;
   * another request under it is refused with `IDEMPOTENCY_MISMATCH`. Random unless given, and kept over the tries of
   * a call; give one to repeat a call whose answer was lost with the process. A file that went by staging is the same
   * request only with its `stagingId`; so a large one goes as a form when a key is given and the id is not kept.
   */
  readonly idempotencyKey?: string | undefined;
}

/** How one file is sent. */
export interface UploadFileOptions extends UploadOptions, StagingOptions {}

/** What is said of a file beside its bytes. */
export interface FileFacts {
  readonly assetType: AssetType;
  readonly filename: string;
  /** Guessed from the filename when absent. */
  readonly contentType?: string | undefined;
  /** `private` unless given. */
  readonly visibility?: Visibility | undefined;
  /** Kept with the asset as it is. */
  readonly metadata?: Metadata | undefined;
}

/** One file to send, but for its content. */
export interface UploadFacts extends EntityRef, FileFacts {
  /**
   * SHA-256 in hex: other bytes than these end as `CHECKSUM_MISMATCH`. Wants content that can be read in parts, as
   * `path` and `bytes` can in Node.
   */
  readonly checksum?: string | undefined;
  /** Bytes of the file handed to the connection so far; less again when a try failed and it starts anew. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** One file whose bytes this client sends. */
export type UploadFile = UploadFacts & FileContent;

/** Where the API finds the bytes of a file: in the request, staged before, on its own disk, or at a public address. */
export type Origin =
  | { readonly kind: 'inline'; readonly text: string }
  | { readonly kind: 'inline'; readonly base64: string }
  | { readonly kind: 'staged'; readonly stagingId: string }
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string };

/** Files of one scene, or of a session itself: up to 5,000, and 16 MiB of JSON. */
export interface UploadFiles extends EntityRef {
  readonly files: readonly (FileFacts & {
    readonly origin: Origin;
    /** SHA-256 in hex; other bytes than these end as `CHECKSUM_MISMATCH`. */
    readonly checksum?: string | undefined;
    readonly size?: number | undefined;
  })[];
}

/** Larger files go by staging, if they can be read in parts. */
export const LARGEST_FORM = 64 * 2 ** 20;

/** Sends one file, again after a failure that may pass: a large one by staging, in parts, all others as a form. */
export async function uploadFile(
  transport: Transport,
  file: UploadFile,
  options: UploadFileOptions = {},
): Promise<Accepted> {
  const opened = openContent(file);
  const key = options.idempotencyKey ?? newKey();
  const parted = 'open' in opened ? opened.parted : undefined;
  if (parted && wantsStaging(parted.size, file, options)) {
    return sendStaged(transport, file, parted, { ...options, idempotencyKey: key });
  }
  if (file.checksum !== undefined) throw new TypeError('A checksum wants content that can be read in parts.');
  const attempt = () => sendForm(transport, file, opened, { ...options, idempotencyKey: key });
  const answer = await transport.retry(attempt, options, opened.again);
  if ('blob' in opened) file.onProgress?.(opened.size);
  return answer;
}

/** The form cannot carry a checksum; and what a caller repeats by its key alone must come in the same way again. */
function wantsStaging(size: number, { checksum }: UploadFile, options: UploadFileOptions): boolean {
  const repeatable = !options.idempotencyKey || options.onStaged !== undefined || options.stagingId !== undefined;
  return checksum !== undefined || (size > LARGEST_FORM && repeatable);
}

function sendStaged(
  transport: Transport,
  file: UploadFile,
  content: PartedContent,
  options: UploadFileOptions,
): Promise<Accepted> {
  const { project, session, scene, assetType, filename, checksum, visibility, metadata, onProgress } = file;
  const { contentType = contentTypeOf(filename, assetType) } = file;
  const use = (stagingId: string) => {
    const origin = { kind: 'staged', stagingId } as const;
    const files = [{ assetType, filename, contentType, visibility, metadata, origin }];
    return uploadFiles(transport, { project, session, scene, files }, options);
  };
  return uploadStaged(transport, { project, filename, checksum, content, onProgress, use }, options);
}

async function sendForm(
  transport: Transport,
  file: UploadFile,
  opened: OpenedFile,
  { idempotencyKey, signal }: UploadOptions,
): Promise<Accepted> {
  const over = new AbortController();
  const { contentType, length, body } = form({
    fields: fieldsOf(file),
    file: opened,
    filename: file.filename,
    contentType: file.contentType ?? contentTypeOf(file.filename, file.assetType),
    onProgress: file.onProgress,
    until: over.signal,
  });
  const streamed = body instanceof Blob ? {} : ({ duplex: 'half' } as const);
  const announced = length === undefined || body instanceof Blob ? {} : { 'content-length': String(length) };
  const headers = { 'content-type': contentType, ...announced, ...named(idempotencyKey) };
  try {
    return await transport.send(
      '/v1/uploads/files',
      accepted,
      { method: 'POST', headers, body, ...streamed },
      { signal },
    );
  } finally {
    over.abort();
  }
}

/** Sends many files, or where to find them, in one request. */
export async function uploadFiles(
  transport: Transport,
  request: UploadFiles,
  options: UploadOptions = {},
): Promise<Accepted> {
  const call = json(request, named(options.idempotencyKey ?? newKey()));
  return transport.retry(() => transport.send('/v1/uploads', accepted, call, options), options);
}

/** Has the API say how it would divide the files; nothing is kept of them. */
export function dryRun(transport: Transport, request: UploadFiles, options?: CallOptions): Promise<Planned> {
  return transport.retry(() => transport.send('/v1/uploads?dryRun=1', planned, json(request), options), options);
}

/** The content type of a name. Source code is text: the table takes a `.ts` for a film (MPEG-2). */
export function contentTypeOf(filename: string, assetType: AssetType): string {
  const guess = mime.getType(filename);
  if (assetType === 'source_code') return guess?.startsWith('text/') ? guess : 'text/plain';
  return guess ?? 'application/octet-stream';
}

function named(idempotencyKey: string | undefined): Record<string, string> {
  return idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey };
}

function fieldsOf({ project, session, scene, assetType, visibility, metadata }: UploadFile): Record<string, string> {
  return {
    project,
    session,
    ...(scene !== undefined && { scene }),
    assetType,
    ...(visibility && { visibility }),
    ...(metadata && { metadata: JSON.stringify(metadata) }),
  };
}
