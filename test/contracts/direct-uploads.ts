import { randomBytes, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SignedPut } from '#storage/direct-uploads.ts';
import type { Store } from '#storage/store.ts';

/** An adapter at work, and how its signed requests are sent. */
export interface DirectUnderTest {
  readonly store: Store;
  /** Sends the bytes as anyone could; gives the status. */
  put(signed: SignedPut, bytes: Buffer): Promise<number>;
  close(): Promise<void>;
}

const MIB = 1024 ** 2;
const PART = 5 * MIB;
const LIFETIME = 600;
const refused = (status: number) => status >= 400 && status < 500;

/** The suite of `DirectUploads`; each adapter runs it. */
export function describeDirectUploads(name: string, open: () => Promise<DirectUnderTest>): void {
  describe(`${name} takes bytes from their owner`, () => {
    let under: DirectUnderTest;
    const newKey = () => `staging/${randomUUID()}/clip.mp4`;
    beforeAll(async () => {
      under = await open();
    });
    afterAll(() => under.close());

    const read = async (key: string) => buffer((await under.store.get(key)).body);

    test('by one PUT, which may be repeated', async () => {
      const key = newKey();
      const bytes = randomBytes(100_000);
      const signed = await under.store.direct.signPut(key, bytes.length, LIFETIME);
      expect(signed.expiresAt).toBeGreaterThan(Date.now());
      expect(await under.put(signed, bytes)).toBe(200);
      expect(await under.put(signed, bytes)).toBe(200);
      expect(await read(key)).toEqual(bytes);
    });

    test('only as many bytes as were signed, to the key that was signed', async () => {
      const key = newKey();
      const signed = await under.store.direct.signPut(key, 1_000, LIFETIME);
      expect(await under.put(signed, randomBytes(1_001))).toSatisfy(refused);
      const elsewhere = { ...signed, url: signed.url.replace('clip.mp4', 'clap.mp4') };
      expect(await under.put(elsewhere, randomBytes(1_000))).toBe(403);
      expect(await under.store.head(key)).toBeUndefined();
    });

    test('in parts, in any order, each repeatable, whole only when complete', async () => {
      const { direct } = under.store;
      const key = newKey();
      const bytes = randomBytes(2 * PART + 17);
      const upload = { key, uploadId: await direct.begin(key) };
      expect(await direct.parts(upload)).toEqual([]);
      for (const number of [3, 1, 3, 2]) {
        const part = bytes.subarray((number - 1) * PART, number * PART);
        const signed = await direct.signPart(upload, { number, size: part.length }, LIFETIME);
        expect(await under.put(signed, part)).toBe(200);
      }
      expect(await under.store.head(key)).toBeUndefined();
      expect(await direct.parts(upload)).toEqual([
        { number: 1, size: PART },
        { number: 2, size: PART },
        { number: 3, size: 17 },
      ]);
      await direct.complete(upload);
      expect((await read(key)).equals(bytes)).toBe(true);
      await expect(direct.parts(upload)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(direct.complete(upload)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    test('or gives it up, and keeps nothing', async () => {
      const { direct } = under.store;
      const key = newKey();
      const upload = { key, uploadId: await direct.begin(key) };
      const signed = await direct.signPart(upload, { number: 1, size: PART }, LIFETIME);
      await under.put(signed, randomBytes(PART));
      for (const _ of ['once', 'again']) await direct.abort(upload);
      await expect(direct.parts(upload)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      expect((await under.store.list(key)).objects).toEqual([]);
    });

    test('up to 5 TiB, in at most 10,000 parts', () => {
      const { partSize } = under.store.direct;
      for (const size of [1, 100 * MIB, 80_000 * MIB + 1, 5 * MIB * MIB]) {
        expect(Math.ceil(size / partSize(size))).toBeLessThanOrEqual(10_000);
        expect(partSize(size)).toBeGreaterThanOrEqual(PART);
      }
    });
  });
}
