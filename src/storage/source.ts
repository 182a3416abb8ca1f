import { Readable } from 'node:stream';
import { AppError } from '#errors';
import type { Source, Store } from './store.ts';

export { createPathOpener, fileSource, type PathOpener } from './path-source.ts';
export { type UrlSourceOptions, urlSource } from './url-source.ts';

/** Bytes in memory. */
export function bytesSource(bytes: Buffer): Source & { readonly size: number } {
  return {
    size: bytes.length,
    open: async (offset) => Readable.from([bytes.subarray(offset)], { objectMode: false }),
  };
}

/**
 * Bytes that wait in the store: the object at `key`, or a slice of it. Throws `ORIGIN_NOT_FOUND` when it is not there or
 * the slice reaches past its end.
 */
export async function stagedSource(
  store: Pick<Store, 'head' | 'get'>,
  key: string,
  slice?: { readonly offset: number; readonly length: number },
): Promise<Source & { readonly size: number }> {
  const found = await store.head(key);
  const { offset: first, length: size } = slice ?? { offset: 0, length: found?.size ?? 0 };
  if (found === undefined || first + size > found.size) {
    throw new AppError('ORIGIN_NOT_FOUND', 'The staged bytes are not in the store.', { details: { key } });
  }
  return {
    size,
    async open(offset, signal) {
      if (offset >= size) return Readable.from([]);
      const range = { start: first + offset, end: first + size - 1 };
      const { body } = await store.get(key, { range, ...(signal ? { signal } : {}) });
      return body;
    },
  };
}
