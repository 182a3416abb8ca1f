import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Source } from '#storage/store.ts';

/** SHA-256 in hex. */
export const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** A source that hands out `bytes` in pieces, as a network does. */
export function pieces(
  bytes: Buffer,
  { size, piece = 65_536 }: { size?: number | undefined; piece?: number } = {},
): Source {
  function* cut(offset: number) {
    for (let at = offset; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
  }
  return { size, open: async (offset) => Readable.from(cut(offset)) };
}
