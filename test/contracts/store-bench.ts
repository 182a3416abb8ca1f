import { randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { expect } from 'vitest';
import type { Journal, OpenUpload, PutOptions, Source, Store } from '#storage/store.ts';

/** An adapter at work, and what only it knows. */
export interface StoreUnderTest {
  readonly store: Store;
  /** The same store, with a clock two minutes behind. */
  readonly behind: Store;
  /** Bytes of a part of puts that can be gone on with. */
  readonly partSize: number;
  /** Unfinished business: temporary files, open uploads. */
  leftovers(): Promise<number>;
  /** Fetches a signed URL, as a browser would; no bytes when it is refused. */
  fetch(url: string, range?: string): Promise<{ status: number; bytes: Buffer }>;
  /** Bytes that went to the store so far, counted outside of the adapter; what a protocol adds counts too. */
  bytesSent(): Promise<number>;
  /** Puts `bytes`, at most a part, in place of what the store holds of part `number` (from 1), behind the adapter's back. */
  spoilPart(upload: OpenUpload, number: number, bytes: Buffer): Promise<void>;
  /** Puts `bytes` in place of those of an object, behind the adapter's back. */
  spoilObject(key: string, bytes: Buffer): Promise<void>;
  close(): Promise<void>;
}

/** More than three parts of S3's least size, with a short one at the end. */
export const LARGE = 17 * 1024 ** 2 + 123;
export const video: PutOptions = { contentType: 'video/mp4' };

/** Keys of one part of the suite, which no other uses. */
export function openKeys(): { prefix: string; newKey(filename?: string): string } {
  const prefix = `contract/${randomUUID()}/`;
  return { prefix, newKey: (filename = 'clip.mp4') => `${prefix}${randomUUID()}/${filename}` };
}

/** All bytes of an object, or the inclusive range of them. */
export async function read(store: Store, key: string, range?: { start: number; end: number }): Promise<Buffer> {
  const { body } = await store.get(key, range ? { range } : {});
  return buffer(body);
}

/** A put that its journal outlives, as one does whose process crashed once `after` bytes were done. Gives the bytes done. */
export async function breakOff(
  store: Store,
  key: string,
  source: Source,
  { journal, after }: { journal: Journal; after: number },
): Promise<number> {
  const abort = new AbortController();
  const crash = new Error('crashed');
  let done = 0;
  const onProgress = (bytes: number) => {
    done = bytes;
    if (bytes >= after) abort.abort(crash);
  };
  const put = store.put(key, source, { ...video, journal, signal: abort.signal, onProgress });
  await expect(put).rejects.toBe(crash);
  return done;
}

/** Everything that is open under `prefix`. */
export async function allUploads(store: Store, prefix: string, limit?: number): Promise<OpenUpload[]> {
  const seen: OpenUpload[] = [];
  let after: string | undefined;
  do {
    const page = await store.listUploads(prefix, { after, ...(limit === undefined ? {} : { limit }) });
    expect(page.uploads.length).toBeLessThanOrEqual(limit ?? 1_000);
    seen.push(...page.uploads);
    after = page.next;
  } while (after !== undefined);
  return seen;
}
