import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cutParts, digestParts, partSizeFor } from './parts.ts';
import type { Digest } from './s3-digest.ts';

const MIB = 1024 ** 2;
const SIZE = 4;
const abilities = { sha256: false, md5Etag: true };
const digest = (algorithm: string, bytes: Buffer) => createHash(algorithm).update(bytes).digest();
const chunks = fc.array(fc.uint8Array({ maxLength: 11 }), { maxLength: 9 });

async function* flow(chunks: readonly Uint8Array[]) {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = [];
  for await (const value of values) seen.push(value);
  return seen;
}

/** The parts of at most four bytes; no bytes at all are one empty part. */
function partsOf(bytes: Buffer): Buffer[] {
  const count = Math.max(1, Math.ceil(bytes.length / SIZE));
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * SIZE, (index + 1) * SIZE));
}

test('chunks pass unchanged, and every part is digested before the chunk that begins the next', async () => {
  await fc.assert(
    fc.asyncProperty(chunks, async (given) => {
      const digests: Digest[] = [];
      const passed: Buffer[] = [];
      for await (const chunk of digestParts(flow(given), SIZE, abilities, digests)) {
        passed.push(chunk);
        expect(digests).toHaveLength(partsOf(Buffer.concat(passed)).length - 1);
      }
      expect(passed).toEqual(given.map((chunk) => Buffer.from(chunk)));
      const expected = partsOf(Buffer.concat(given)).map((part) => ({
        sha256: digest('sha256', part),
        md5: digest('md5', part),
      }));
      expect(digests).toEqual(expected);
    }),
  );
});

test('parts are cut to size, and the last one is known', async () => {
  await fc.assert(
    fc.asyncProperty(chunks, async (given) => {
      const parts = await all(cutParts(flow(given), SIZE, abilities, async () => Buffer.alloc(SIZE)));
      const expected = partsOf(Buffer.concat(given));
      expect(parts.map(({ bytes }) => bytes)).toEqual(expected);
      expect(parts.map(({ digest: { sha256 } }) => sha256)).toEqual(expected.map((part) => digest('sha256', part)));
      expect(parts.map(({ number, last }) => [number, last])).toEqual(
        expected.map((_, index) => [index + 1, index + 1 === expected.length]),
      );
    }),
  );
});

test.each([
  [{ sha256: true, md5Etag: true }, undefined],
  [{ sha256: false, md5Etag: false }, undefined],
  [{ sha256: false, md5Etag: true }, digest('md5', Buffer.from('a'))],
])('with %j the MD5 is %j', async (able, md5) => {
  const digests: Digest[] = [];
  await all(digestParts(flow([Buffer.from('a')]), SIZE, able, digests));
  expect(digests).toEqual([{ sha256: digest('sha256', Buffer.from('a')), md5 }]);
});

test.each([
  [undefined, 8],
  [80_000, 8],
  [80_001, 9],
  [100 * 1024, 11],
  [5 * MIB, 525],
])('%s MiB go in parts of %i MiB', (size, part) => {
  expect(partSizeFor(size === undefined ? undefined : size * MIB, 8 * MIB, 10_000)).toBe(part * MIB);
});
