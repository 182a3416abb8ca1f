import { Readable } from 'node:stream';
import { AppError } from '#errors';
import type { Source, Store } from './store.ts';

export { createPathOpener, type PathOpener } from './path-opener.ts';
export { fileSource } from './path-source.ts';
export { createUrlPolicy, type UrlPolicy } from './url-policy.ts';
export { urlSource } from './url-source.ts';

/** Bytes in memory. */
export function bytesSource(bytes: Buffer): Source & { readonly size: number } {
  return {
    size: bytes.length,
    open: async (offset) => Readable.from([bytes.subarray(offset)], { objectMode: false }),
  };
}

/**
 * Bytes that wait in the store: the object at `key`, or a slice of it, which is taken at its word until it is read.
 * Throws `ORIGIN_NOT_FOUND` when the object is not there.
 */
export async function stagedSource(
  store: Pick<Store, 'head' | 'get'>,
  key: string,
  slice?: { readonly offset: number; readonly length: number },
): Promise<Source & { readonly size: number }> {
  const { offset: first, length: size } = slice ?? { offset: 0, length: (await store.head(key))?.size ?? 0 };
  if (size === 0) throw missing(key);
  return {
    size,
    async open(offset, signal) {
      if (offset >= size) return Readable.from([]);
      const range = { start: first + offset, end: first + size - 1 };
      const { body } = await store.get(key, { range, ...(signal ? { signal } : {}) }).catch((error: unknown) => {
        throw error instanceof AppError && error.code === 'NOT_FOUND' ? missing(key) : error;
      });
      return body;
    },
  };
}

function missing(key: string): AppError {
  return new AppError('ORIGIN_NOT_FOUND', 'The staged bytes are not in the store.', { details: { key } });
}
