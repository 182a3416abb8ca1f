import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { FileContent } from './content.ts';
import { fileUnreadable } from './error.ts';

const CHUNK_BYTES = 256 * 1024;

/** A file of this machine as content; looked at now, read when it is sent. Throws `FILE_UNREADABLE`. */
export async function pathContent(path: string): Promise<Extract<FileContent, { open: unknown }>> {
  const facts = await stat(path).catch((cause: unknown) => {
    throw fileUnreadable(path, cause);
  });
  if (!facts.isFile()) throw fileUnreadable(path, new Error('it is not a file'));
  return { open: () => read(path), size: facts.size };
}

async function* read(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: CHUNK_BYTES });
  } catch (cause) {
    throw fileUnreadable(path, cause);
  }
}
