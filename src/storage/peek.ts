import { Readable } from 'node:stream';
import { originUnreadable } from './measured.ts';
import type { Source } from './store.ts';

/**
 * Gives `use` the first `length` bytes of a source, fewer when it is shorter, and the source: its first reading from the
 * start goes on with the stream that was begun, so that nothing is fetched twice. Throws as reading it in `put` would.
 */
export async function withHead<T>(
  source: Source,
  length: number,
  signal: AbortSignal,
  use: (head: Buffer, source: Source) => Promise<T>,
): Promise<T> {
  let stream: Readable | undefined;
  try {
    const begun = await begin(source, length, signal);
    stream = begun.stream;
    return await use(Buffer.concat(begun.held).subarray(0, length), resumed(source, begun));
  } finally {
    stream?.destroy();
  }
}

interface Begun {
  readonly stream: Readable;
  /** Nothing comes after what is held. */
  readonly ended: boolean;
  readonly held: readonly Buffer[];
  readonly rest: AsyncIterator<Buffer | string>;
}

async function begin(source: Source, length: number, signal: AbortSignal): Promise<Begun> {
  signal.throwIfAborted();
  let stream: Readable | undefined;
  const stop = () => stream?.destroy(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    stream = await source.open(0, signal);
    // Its reader hears of an error too; without anybody listening it would end the process.
    stream.on('error', () => undefined);
    signal.throwIfAborted();
    const rest: AsyncIterator<Buffer | string> = stream[Symbol.asyncIterator]();
    const held: Buffer[] = [];
    let ended = false;
    for (let size = 0; size < length; ) {
      const { done, value } = await rest.next();
      ended = done === true;
      if (done) break;
      const chunk = Buffer.isBuffer(value) ? value : Buffer.from(value);
      held.push(chunk);
      size += chunk.length;
    }
    return { stream, held, rest, ended };
  } catch (error) {
    stream?.destroy();
    signal.throwIfAborted();
    throw originUnreadable(error);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function resumed(source: Source, { stream, held, rest, ended }: Begun): Source {
  let taken = false;
  return {
    ...(source.size === undefined ? {} : { size: source.size }),
    fromStartOnly: () => (ended ? undefined : source.fromStartOnly?.()),
    async open(offset, signal) {
      if (offset > 0 || taken) return source.open(offset, signal);
      taken = true;
      return joined(held, rest, stream);
    },
  };
}

/**
 * What was read, then the rest. Destroying it destroys the stream behind it at once: a generator would first wait for
 * the chunk that it is waiting for, which a silent origin never sends.
 */
function joined(held: readonly Buffer[], rest: Begun['rest'], stream: Readable): Readable {
  const first = held.values();
  return new Readable({
    read() {
      const { value: chunk } = first.next();
      if (chunk) this.push(chunk);
      else
        rest.next().then(
          ({ done, value }) => this.push(done ? null : value),
          (error: Error) => this.destroy(error),
        );
    },
    destroy(error, done) {
      stream.destroy();
      done(error);
    },
  });
}
