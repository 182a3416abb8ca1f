import mime from 'mime';
import type { AssetType, EntityRef, Visibility } from '#domain';
import { type Accepted, accepted } from './answers.ts';
import { type FileContent, form, openContent } from './form.ts';
import type { Call, Transport } from './transport.ts';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

interface FileFacts {
  readonly assetType: AssetType;
  readonly filename: string;
  readonly contentType?: string | undefined;
  readonly visibility?: Visibility | undefined;
}

/** One file whose bytes this client sends. Its content type is guessed from its name when absent. */
export type UploadFile = EntityRef &
  FileFacts &
  FileContent & {
    /** Bytes of the file handed to the connection so far. */
    readonly onProgress?: ((bytes: number) => void) | undefined;
  };

/** Where the API finds the bytes of a file: in the request, on its own disk, or at a public address. */
export type Origin =
  | { readonly kind: 'inline'; readonly text: string }
  | { readonly kind: 'inline'; readonly base64: string }
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string };

/** Files of one scene, or of a session itself: up to 5,000, and 16 MiB of JSON. */
export interface UploadFiles extends EntityRef {
  readonly files: readonly (FileFacts & {
    readonly origin: Origin;
    /** SHA-256 in hex; other bytes than these end as `CHECKSUM_MISMATCH`. */
    readonly checksum?: string | undefined;
    readonly size?: number | undefined;
    /** Kept with the asset as it is. */
    readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  })[];
}

/** Sends one file as a form. */
export async function uploadFile(transport: Transport, file: UploadFile, options?: CallOptions): Promise<Accepted> {
  const opened = await openContent(file);
  const over = new AbortController();
  const { contentType, length, body } = form({
    fields: fieldsOf(file),
    file: opened,
    filename: file.filename,
    contentType: file.contentType ?? contentTypeOf(file.filename, file.assetType),
    onProgress: file.onProgress,
    until: over.signal,
  });
  try {
    return await transport.send('/v1/uploads/files', accepted, {
      method: 'POST',
      headers: { 'content-type': contentType, ...(length !== undefined && { 'content-length': String(length) }) },
      body,
      duplex: 'half',
      ...options,
    });
  } finally {
    over.abort();
  }
}

/** A POST of `value`. */
export function json(value: unknown): Call {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}

/** The content type of a name. Source code is text: the table takes a `.ts` for a film (MPEG-2). */
export function contentTypeOf(filename: string, assetType: AssetType): string {
  const guess = mime.getType(filename);
  if (assetType === 'source_code') return guess?.startsWith('text/') ? guess : 'text/plain';
  return guess ?? 'application/octet-stream';
}

function fieldsOf(file: UploadFile): Record<string, string> {
  return {
    project: file.project,
    session: file.session,
    ...(file.scene !== undefined && { scene: file.scene }),
    assetType: file.assetType,
    ...(file.visibility && { visibility: file.visibility }),
  };
}
