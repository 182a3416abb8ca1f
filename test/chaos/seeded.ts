import { createCipheriv, createHash } from 'node:crypto';

/** Numbers from 0 to 1, the same for the same seed: mulberry32 by Tommy Ettinger (public domain). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const CHUNK = 1024 * 1024;
const ZEROES = Buffer.alloc(CHUNK);

/**
 * The content of one file, in chunks: a line of text, so that it is of no known type, and then noise that costs little,
 * the key stream of AES.
 */
export function* seededBytes(name: string, size: number): Generator<Buffer, void, void> {
  const key = createHash('sha256').update(name).digest();
  const noise = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  let first: Buffer | undefined = Buffer.from(`${name}\n`).subarray(0, size);
  for (let rest = size; rest > 0; ) {
    const chunk: Buffer = noise.update(ZEROES.subarray(0, Math.min(rest, CHUNK)));
    if (first) first.copy(chunk);
    first = undefined;
    rest -= chunk.length;
    yield chunk;
  }
}

/**
 * `count` sizes from `least` to `most` bytes, `total` in all: log-uniform as far as the total allows, else with more
 * small ones than that. The first two are the least and the most.
 */
export function seededSizes(
  random: () => number,
  { count, total, least, most }: { count: number; total: number; least: number; most: number },
): number[] {
  const draws = Array.from({ length: count }, (_, at) => (at < 2 ? at : random()));
  const sizesFor = (skew: number) =>
    draws.map((draw) => Math.min(most, Math.round(least * (most / least) ** (draw ** skew))));
  const sum = (sizes: readonly number[]) => sizes.reduce((all, size) => all + size, 0);
  // The larger the skew, the smaller the sum.
  let [low, high] = [0.01, 100];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (sum(sizesFor(middle)) >= total) low = middle;
    else high = middle;
  }
  return sizesFor(low);
}
