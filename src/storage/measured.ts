import { createHash } from 'node:crypto';
import { addAbortSignal } from 'node:stream';
import { AppError } from '#errors';
import type { PutOptions, Source } from './store.ts';

/** Bytes on their way into a store. `facts` are whole once `chunks` came to its end. */
export interface Measured {
  readonly chunks: AsyncGenerator<Buffer, void, void>;
  facts(): { readonly size: number; readonly checksum: string };
}

/**
 * The bytes of a source, counted and hashed as they pass. The end is reached only when they are what was announced:
 * otherwise reading throws as `Store.put` promises (`ORIGIN_UNREADABLE`, `SIZE_MISMATCH`, `TOO_LARGE`, `EMPTY_FILE`,
 * `CHECKSUM_MISMATCH`, or the reason of the aborted signal). Leaving the loop early closes the source.
 */
export function measure(source: Source, options: PutOptions): Measured {
  const hash = createHash('sha256');
  let size = 0;
  let checksum = '';

  async function* chunks(): AsyncGenerator<Buffer, void, void> {
    if (source.size !== undefined) assertSize(source.size, options.maxSize);
    options.onWait?.('origin');
    for await (const chunk of read(source, options.signal)) {
      options.onWait?.('store');
      size += chunk.length;
      options.onRead?.(size);
      if (source.size !== undefined && size > source.size) throw sizeMismatch(source.size, size);
      assertSize(size, options.maxSize);
      hash.update(chunk);
      yield chunk;
      options.onWait?.('origin');
    }
    options.onWait?.('store');
    assertSize(size, options.maxSize);
    if (source.size !== undefined && size < source.size) {
      throw new AppError('ORIGIN_UNREADABLE', `The origin ended after ${size} of ${source.size} bytes.`);
    }
    checksum = hash.digest('hex');
    assertChecksum(checksum, options.checksum);
  }

  return { chunks: chunks(), facts: () => ({ size, checksum }) };
}

/** Throws `EMPTY_FILE` for no bytes and `TOO_LARGE` past `maxSize`. */
export function assertSize(size: number, maxSize: number | undefined): void {
  if (size === 0) throw new AppError('EMPTY_FILE', 'The file has no bytes.');
  if (maxSize !== undefined && size > maxSize) {
    throw new AppError('TOO_LARGE', `The file has more than ${maxSize} bytes.`, { details: { maxSize } });
  }
}

/** Throws `CHECKSUM_MISMATCH` when one was announced and is another. */
export function assertChecksum(checksum: string, announced: string | undefined): void {
  if (announced === undefined || announced.toLowerCase() === checksum) return;
  throw new AppError('CHECKSUM_MISMATCH', 'The bytes are not the ones announced.', {
    details: { announced, actual: checksum },
  });
}

function sizeMismatch(announced: number, actual: number): AppError {
  return new AppError('SIZE_MISMATCH', `The origin has more than the ${announced} bytes announced.`, {
    details: { announced, actual },
  });
}

async function* read(source: Source, signal: AbortSignal | undefined): AsyncGenerator<Buffer, void, void> {
  signal?.throwIfAborted();
  try {
    const stream = await source.open(0, signal);
    if (signal) addAbortSignal(signal, stream);
    for await (const chunk of stream) yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
  } catch (error) {
    signal?.throwIfAborted();
    throw originUnreadable(error);
  }
}

/** What the failure of a source becomes; our own errors stay what they are. */
export function originUnreadable(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const message = `The origin could not be read: ${error instanceof Error ? error.message : String(error)}`;
  return new AppError('ORIGIN_UNREADABLE', message, { cause: error });
}
