import { createHash } from 'node:crypto';
import type { Digest } from './s3-verify.ts';

/** Bytes of one part, in a buffer that is used again once the part is sent. */
export interface Part {
  /** From 1. */
  readonly number: number;
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly last: boolean;
}

const MAX_PARTS = 10_000;
const MIB = 1024 * 1024;
const MEMORY = 64 * MIB;
const PARALLEL = 4;

/** Bytes of a part for an object of `size`: `least`, or more where 10,000 parts would not do. */
export function partSizeFor(size: number | undefined, least: number): number {
  const needed = Math.ceil((size ?? 0) / MAX_PARTS / MIB) * MIB;
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
  withMd5: boolean,
  take: () => Promise<Buffer>,
): AsyncGenerator<Part, void, void> {
  let number = 1;
  let part = startPart(await take(), withMd5);
  for await (const chunk of chunks) {
    for (let rest = chunk; rest.length > 0; ) {
      if (part.filled() === size) {
        yield part.end(number, false);
        number += 1;
        part = startPart(await take(), withMd5);
      }
      rest = part.add(rest);
    }
  }
  yield part.end(number, true);
}

function startPart(buffer: Buffer, withMd5: boolean) {
  const sha256 = createHash('sha256');
  const md5 = withMd5 ? createHash('md5') : undefined;
  let filled = 0;
  return {
    filled: () => filled,
    /** Takes what fits and returns the rest. */
    add(chunk: Buffer): Buffer {
      const length = chunk.copy(buffer, filled);
      const taken = chunk.subarray(0, length);
      sha256.update(taken);
      md5?.update(taken);
      filled += length;
      return chunk.subarray(length);
    },
    end(number: number, last: boolean): Part {
      const digest = { sha256: sha256.digest(), md5: md5?.digest() };
      return { number, last, bytes: buffer.subarray(0, filled), digest };
    },
  };
}

/** Buffers and what is being done with them: `take` waits until one is free, so that is how many parts are in flight. */
export interface Slots {
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
