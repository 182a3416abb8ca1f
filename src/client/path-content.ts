import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { fileChanged, type PartedContent } from './content.ts';
import { fileUnreadable } from './error.ts';

const CHUNK_BYTES = 256 * 1024;

/** A file of this machine with the time of its modification, in milliseconds since the epoch. */
interface PathContent extends PartedContent {
  readonly modifiedAt: number;
}

/**
 * A file of this machine as content; looked at now, read when it is sent. Its parts end with `FILE_CHANGED` when its
 * size or time of modification is another by then. Throws `FILE_UNREADABLE`.
 */
export async function pathContent(path: string): Promise<PathContent> {
  const { size, mtimeMs: modifiedAt } = await look(path);

  async function requireSame(): Promise<void> {
    const now = await look(path);
    if (now.size !== size || now.mtimeMs !== modifiedAt) throw fileChanged(path, size);
  }
  async function* part(start: number, end: number): AsyncGenerator<Uint8Array> {
    await requireSame();
    yield* read(path, { start, end: end - 1 });
    await requireSame();
  }
  return { open: () => read(path), part, size, modifiedAt };
}

/** Bytes in memory as content that can travel in parts. */
export function bytesContent(bytes: Uint8Array<ArrayBuffer>): PartedContent {
  async function* part(start: number, end: number): AsyncGenerator<Uint8Array> {
    for (let at = start; at < end; at += CHUNK_BYTES) yield bytes.subarray(at, Math.min(at + CHUNK_BYTES, end));
  }
  return { open: () => part(0, bytes.length), part, size: bytes.length };
}

async function look(path: string) {
  const facts = await stat(path).catch((cause: unknown) => {
    throw fileUnreadable(path, cause);
  });
  if (!facts.isFile()) throw fileUnreadable(path, new Error('it is not a file'));
  return facts;
}

async function* read(path: string, range: { start?: number; end?: number } = {}): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { ...range, highWaterMark: CHUNK_BYTES });
  } catch (cause) {
    throw fileUnreadable(path, cause);
  }
}
