import type { Store } from './store.ts';

/**
 * The part of the store port for bytes that their owner puts into the store himself, whole or in parts, so that they
 * need not pass through the API. Adapters: `disk-direct.ts`, `s3-direct.ts`; `test/contracts/direct-uploads.ts` is this
 * comment as a suite.
 *
 * Parts are numbered from 1; all but the last have the same size. What was sent twice counts once. Nothing is
 * readable at the key before `put` or `complete` ended. Throws as every method of the store does.
 */
export interface DirectUploads {
  /** Bytes that a part must have, the last one aside, for an object of `size` bytes. */
  partSize(size: number): number;
  /** One PUT of `size` bytes to `key`. */
  signPut(key: string, size: number, expiresInSeconds: number): Promise<SignedPut>;
  /** Begins an upload in parts; gives its id. */
  begin(key: string): Promise<string>;
  /** One PUT of a part of `size` bytes. */
  signPart(upload: DirectUpload, part: { number: number; size: number }, expiresInSeconds: number): Promise<SignedPut>;
  /** The parts there are, by number. Throws `NOT_FOUND` when there is no such upload, any more. */
  parts(upload: DirectUpload): Promise<DirectPart[]>;
  /** Joins all parts there are into the object. `NOT_FOUND` as `parts`. */
  complete(upload: DirectUpload): Promise<void>;
  /** Drops the parts; an upload that is not there is fine. */
  abort(upload: DirectUpload): Promise<void>;
}

/** An upload in parts. */
export interface DirectUpload {
  readonly key: string;
  readonly uploadId: string;
}

export interface DirectPart {
  readonly number: number;
  /** Bytes. */
  readonly size: number;
}

/** A request that anyone may send until `expiresAt`: PUT the bytes to `url` with these headers. */
export interface SignedPut {
  /** A path (leading `/`) when the API itself takes the bytes: the reader puts the base on. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

const MIB = 1024 ** 2;
/** As our own parts: S3 takes 5 MiB at the least, and 10,000 of them. */
const PART_SIZE = 8 * MIB;
const PARTS = 10_000;

/** 8 MiB, and more where 10,000 of those would not do, in whole MiB. */
export function directPartSize(size: number): number {
  return Math.max(PART_SIZE, Math.ceil(size / PARTS / MIB) * MIB);
}

/** Ends what may still come in at `openKey`; bytes that lie there complete stay. */
export async function dropDirect(
  store: Pick<Store, 'direct' | 'deleteMany'>,
  { openKey, key, uploadId }: { openKey: string; key: string; uploadId?: string | undefined },
): Promise<void> {
  if (uploadId !== undefined) await store.direct.abort({ key: openKey, uploadId });
  if (key !== openKey) await store.deleteMany([openKey]);
}
