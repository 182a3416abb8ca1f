import { createHash } from 'node:crypto';
import { AppError } from '#errors';
import type { ObjectInfo, Store } from '#storage/store.ts';
import type { Pace } from './pace.ts';

/** What was read of an object. */
export interface Reread {
  readonly size: number;
  readonly checksum: string;
  /** What the store says of it. */
  readonly info: ObjectInfo;
}

/** Reads the object whole, with a `pace` no faster than that gives out bytes; undefined when there is none. Throws what the store throws, and the signal's reason. */
export async function reread(
  store: Pick<Store, 'get'>,
  key: string,
  signal: AbortSignal,
  pace?: Pace,
): Promise<Reread | undefined> {
  const found = await store.get(key, { signal }).catch(absent);
  if (!found) return undefined;
  const hash = createHash('sha256');
  let size = 0;
  try {
    for await (const chunk of found.body as AsyncIterable<Buffer>) {
      hash.update(chunk);
      size += chunk.length;
      for (let left = chunk.length; pace && left > 0; ) left -= await pace.take(left, signal);
    }
  } catch (error) {
    // A stream that is aborted says so in words of its own.
    signal.throwIfAborted();
    throw error;
  }
  if (size !== found.info.size) {
    throw new AppError('STORE_UNAVAILABLE', `${key} broke off after ${size} of ${found.info.size} bytes.`);
  }
  return { size, checksum: hash.digest('hex'), info: found.info };
}

function absent(error: unknown): undefined {
  if (!(error instanceof AppError && error.code === 'NOT_FOUND')) throw error;
}
