import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pieces } from '#test/sources.ts';
import { createDiskStore } from './disk.ts';
import { bytesSource, stagedSource } from './source.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reelay-source-'));
});
afterEach(() => rm(dir, { recursive: true }));

const fails = (code: string) => expect.objectContaining({ code });

describe('origins', () => {
  test('bytes in memory', async () => {
    const source = bytesSource(Buffer.from('0123456789'));
    expect(source.size).toBe(10);
    expect(String(await buffer(await source.open(4)))).toBe('456789');
    expect(await buffer(await bytesSource(Buffer.alloc(0)).open(0))).toHaveLength(0);
  });

  test('staged bytes, whole and as a slice', async () => {
    const store = createDiskStore({ dir: join(dir, 'store'), urlSecret: Buffer.from('x'), clock: Date.now });
    await store.put('staging/b/0', pieces(Buffer.from('0123456789')), { contentType: 'text/plain' });
    const whole = await stagedSource(store, 'staging/b/0');
    expect(whole.size).toBe(10);
    expect(String(await buffer(await whole.open(8)))).toBe('89');
    const slice = await stagedSource(store, 'staging/b/0', { offset: 2, length: 3 });
    expect(slice.size).toBe(3);
    expect(String(await buffer(await slice.open(0)))).toBe('234');
    expect(String(await buffer(await slice.open(2)))).toBe('4');
    const missing = fails('ORIGIN_NOT_FOUND');
    await expect(stagedSource(store, 'staging/b/1')).rejects.toEqual(missing);
    const gone = await stagedSource(store, 'staging/b/1', { offset: 0, length: 2 });
    await expect(gone.open(0)).rejects.toEqual(missing);
    const past = await stagedSource(store, 'staging/b/0', { offset: 9, length: 2 });
    await expect(store.put('past', past, { contentType: 'text/plain' })).rejects.toEqual(fails('ORIGIN_UNREADABLE'));
    const facts = await store.put('copy', slice, { contentType: 'text/plain' });
    expect(facts.size).toBe(3);
  });
});
