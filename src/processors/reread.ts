import { createHash } from 'node:crypto';
import { AppError } from '#errors';
import type { Store } from '#storage/store.ts';
import type { Pace } from './pace.ts';

/** What was read of an object. */
export interface Reread {
  readonly size: number;
  readonly checksum: string;
  /** When it was written, milliseconds since the epoch. */
  readonly lastModified: number;
}

/** Reads the object whole, no faster than `pace` gives out bytes; undefined when there is none. Throws what the store throws, and the signal's reason. */
export async function reread(
  store: Pick<Store, 'get'>,
  key: string,
  pace: Pace,
  signal: AbortSignal,
): Promise<Reread | undefined> {
  const found = await store.get(key, { signal }).catch(absent);
  if (!found) return undefined;
  const hash = createHash('sha256');
  let size = 0;
  try {
    for await (const chunk of found.body as AsyncIterable<Buffer>) {
      hash.update(chunk);
      size += chunk.length;
      for (let left = chunk.length; left > 0; ) left -= await pace.take(left, signal);
    }
  } catch (error) {
    // A stream that is aborted says so in words of its own.
    signal.throwIfAborted();
    throw error;
  }
  if (size !== found.info.size) {
    throw new AppError('STORE_UNAVAILABLE', `${key} broke off after ${size} of ${found.info.size} bytes.`);
  }
  return { size, checksum: hash.digest('hex'), lastModified: found.info.lastModified };
}

function absent(error: unknown): undefined {
  if (!(error instanceof AppError && error.code === 'NOT_FOUND')) throw error;
}
