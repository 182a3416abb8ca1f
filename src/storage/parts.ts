import { createHash } from 'node:crypto';
import type { Digest } from './s3-digest.ts';
import type { Abilities } from './s3-probe.ts';

/** Bytes of one part, in a buffer that is used again once the part is sent. */
export interface Part {
  /** From 1. */
  readonly number: number;
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly last: boolean;
}

const MIB = 1024 * 1024;
const MEMORY = 64 * MIB;
const PARALLEL = 4;

/** Bytes of a part for an object of `size`: `least`, or more where `most` parts would not do. */
export function partSizeFor(size: number | undefined, least: number, most: number): number {
  const needed = Math.ceil((size ?? 0) / most / MIB) * MIB;
  return Math.max(least, needed);
}

/** Parts in flight at once: four, fewer when they are so large that memory would grow. */
export function parallelFor(partSize: number): number {
  return Math.max(1, Math.min(PARALLEL, Math.floor(MEMORY / partSize)));
}

/**
 * Cuts chunks into parts of `size`. Buffers come from `take`, which resolves when one is free. `last` is known
 * because a full part is only handed on once there are more bytes.
 */
export async function* cutParts(
  chunks: AsyncIterable<Buffer>,
  size: number,
  abilities: Abilities,
  take: () => Promise<Buffer>,
): AsyncGenerator<Part, void, void> {
  let number = 1;
  let part = startPart(await take(), abilities);
  for await (const chunk of chunks) {
    for (let rest = chunk; rest.length > 0; ) {
      if (part.filled() === size) {
        yield part.end(number, false);
        number += 1;
        part = startPart(await take(), abilities);
      }
      rest = part.add(rest);
    }
  }
  yield part.end(number, true);
}

/**
 * Passes chunks on as they are, and adds to `digests` those of the parts of `size` bytes that they will be cut into:
 * of a full part before the chunk with the next part's first byte, of the last one at the end.
 */
export async function* digestParts(
  chunks: AsyncIterable<Buffer>,
  size: number,
  abilities: Abilities,
  digests: Digest[],
): AsyncGenerator<Buffer, void, void> {
  let part = startDigest(abilities);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let rest = chunk; rest.length > 0; ) {
      if (filled === size) {
        digests.push(part.end());
        part = startDigest(abilities);
        filled = 0;
      }
      const taken = rest.subarray(0, size - filled);
      part.add(taken);
      filled += taken.length;
      rest = rest.subarray(taken.length);
    }
    yield chunk;
  }
  digests.push(part.end());
}

/** The digests that can prove a part: its MD5 too, where only that shows in the store's answers. */
function startDigest({ sha256: keepsSha256, md5Etag }: Abilities) {
  const sha256 = createHash('sha256');
  const md5 = !keepsSha256 && md5Etag ? createHash('md5') : undefined;
  return {
    add(bytes: Buffer): void {
      sha256.update(bytes);
      md5?.update(bytes);
    },
    end: (): Digest => ({ sha256: sha256.digest(), md5: md5?.digest() }),
  };
}

function startPart(buffer: Buffer, abilities: Abilities) {
  const digest = startDigest(abilities);
  let filled = 0;
  return {
    filled: () => filled,
    /** Takes what fits and returns the rest. */
    add(chunk: Buffer): Buffer {
      const length = chunk.copy(buffer, filled);
      digest.add(chunk.subarray(0, length));
      filled += length;
      return chunk.subarray(length);
    },
    end(number: number, last: boolean): Part {
      return { number, last, bytes: buffer.subarray(0, filled), digest: digest.end() };
    },
  };
}

/** Buffers and what is being done with them: `take` waits until one is free, so that is how many parts are in flight. */
interface Slots {
  take(): Promise<Buffer>;
  /** The buffer is free again when `work` ends. */
  run(buffer: Buffer, work: Promise<void>): void;
  /** Resolves when all work is done; throws the first failure, as `take` does. */
  finish(): Promise<void>;
  /** Resolves when nothing runs any more, well or not. */
  settle(): Promise<void>;
}

/** At most `count` buffers of `size` bytes each, made as they are needed. */
export function createSlots(count: number, size: number): Slots {
  const free: Buffer[] = [];
  const running = new Set<Promise<void>>();
  let made = 0;
  let failure: { error: unknown } | undefined;

  const settle = async () => void (await Promise.all(running));
  return {
    async take() {
      for (;;) {
        if (failure) throw failure.error;
        const buffer = free.pop();
        if (buffer) return buffer;
        if (made < count) {
          made += 1;
          return Buffer.allocUnsafeSlow(size);
        }
        await Promise.race(running);
      }
    },
    run(buffer, work) {
      const task: Promise<void> = work
        .then(
          // Only the last part is shorter than its buffer, and nothing comes after it.
          () => void free.push(buffer),
          (error: unknown) => {
            failure ??= { error };
          },
        )
        .finally(() => running.delete(task));
      running.add(task);
    },
    async finish() {
      await settle();
      if (failure) throw failure.error;
    },
    settle,
  };
}
