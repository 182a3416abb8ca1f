import { Readable } from 'node:stream';
import { AppError } from '#errors';
import { identityOf, type OpenFile, type PathOpener } from './path-opener.ts';
import type { Source } from './store.ts';

const READ_SIZE = 256 * 1024;

/**
 * The file at `path`, opened through `openPath` at once, to learn its size, and again at each `open`. Bytes of two
 * versions of it are never mixed: `open` throws `SIZE_MISMATCH` for a file that became longer or shorter since the first
 * look and `ORIGIN_UNREADABLE` for one that was replaced or written to, and reading ends with the same when that
 * happens meanwhile.
 */
export async function fileSource(path: string, openPath: PathOpener): Promise<Source & { readonly size: number }> {
  const first = await openPath(path);
  await first.handle.close();

  function assertSame(now: Pick<OpenFile, 'size' | 'identity'>): void {
    const details = { path, announced: first.size, actual: now.size };
    if (now.size !== first.size) {
      throw new AppError('SIZE_MISMATCH', `The file had ${first.size} bytes and now has ${now.size}.`, { details });
    }
    if (now.identity !== first.identity) {
      throw new AppError('ORIGIN_UNREADABLE', 'The file changed since it was first looked at.', { details: { path } });
    }
  }

  async function* read({ handle }: OpenFile, offset: number): AsyncGenerator<Buffer, void, void> {
    for (let at = offset; at < first.size; ) {
      const buffer = Buffer.allocUnsafe(Math.min(READ_SIZE, first.size - at));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) break;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
    assertSame(identityOf(await handle.stat({ bigint: true })));
  }

  return {
    size: first.size,
    async open(offset, signal): Promise<Readable> {
      signal?.throwIfAborted();
      const file = await openPath(path);
      try {
        assertSame(file);
      } catch (error) {
        await file.handle.close();
        throw error;
      }
      const stream = Readable.from(read(file, offset), { objectMode: false, highWaterMark: READ_SIZE });
      // Also of a stream that nobody began to read.
      return stream.once('close', () => void file.handle.close());
    },
  };
}
