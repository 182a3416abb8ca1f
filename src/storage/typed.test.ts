import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pieces, sha256 } from '#test/sources.ts';
import { createDiskStore } from './disk.ts';
import type { Source, Store } from './store.ts';
import { copyTyped, putTyped } from './typed.ts';

let dir: string;
let store: Store;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reelay-typed-'));
  store = createDiskStore({ dir, urlSecret: Buffer.alloc(32), clock: Date.now });
});
afterAll(() => rm(dir, { recursive: true }));

const film = { contentType: 'video/mp4' };
const unknown = { contentType: 'application/octet-stream' };
const { signal } = new AbortController();
const mp4 = Buffer.concat([Buffer.from('\0\0\0\x18ftypisom\0\0\x02\0isomiso2', 'latin1'), randomBytes(100_000)]);

describe('bytes on their way into the store', () => {
  test.each([
    ['fewer than the head', 100, 7],
    ['as many as the head', 4_100, 64],
    ['more, in large pieces', 100_000, 65_536],
    ['more, in small ones', 100_000, 999],
  ])('%s arrive whole, read once', async (_, length, piece) => {
    const bytes = mp4.subarray(0, length);
    let opened = 0;
    const source: Source = {
      size: length,
      open(offset) {
        opened += 1;
        return pieces(bytes, { piece }).open(offset);
      },
    };
    const stored = await putTyped(store, 'a', source, { ...film, signal });
    expect(stored).toMatchObject({ size: length, checksum: sha256(bytes) });
    expect(stored.contentType).toBeUndefined();
    expect(opened).toBe(1);
    expect(await buffer((await store.get('a')).body)).toEqual(bytes);
  });

  test('tell their type where nobody did, to object and caller', async () => {
    expect(await putTyped(store, 'told', pieces(mp4), { ...unknown, signal })).toMatchObject(film);
    expect(await store.head('told')).toMatchObject(film);
    await store.put('staging/a', pieces(mp4), unknown);
    expect(await copyTyped(store, 'staging/a', 'copied', { ...unknown, signal })).toMatchObject(film);
    expect(await store.head('copied')).toMatchObject(film);
  });

  test('are not refused for a type that was only guessed from the name', async () => {
    const png = Buffer.concat([
      Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'),
      randomBytes(17),
      Buffer.from('0000000049444154', 'hex'),
      randomBytes(100),
    ]);
    const guess = { contentType: 'text/plain', typeGuessed: true, signal };
    expect(await putTyped(store, 'guessed', pieces(png), guess)).toMatchObject({ contentType: 'image/png' });
    expect(await store.head('guessed')).toMatchObject({ contentType: 'image/png' });
  });

  test('of another kind are not stored, and their source is let go', async () => {
    const stream = Readable.from([Buffer.from('#!/bin/sh\n')]);
    const source = { open: async () => stream };
    const refused = { code: 'CONTENT_TYPE_MISMATCH' };
    await expect(putTyped(store, 'no', source, { ...film, signal })).rejects.toMatchObject(refused);
    expect(stream.destroyed).toBe(true);
    await store.put('staging/b', pieces(Buffer.from('<html>')), unknown);
    await expect(copyTyped(store, 'staging/b', 'no', { ...film, signal })).rejects.toMatchObject(refused);
    expect(await store.head('no')).toBeUndefined();
  });

  test('that end before they should, or are none, fail as they do in the store', async () => {
    const failing = (read: () => void): Source => ({ open: async () => new Readable({ read }) });
    const broken = failing(function (this: Readable) {
      this.destroy(new Error('cable cut'));
    });
    await expect(putTyped(store, 'x', broken, { ...film, signal })).rejects.toMatchObject({
      code: 'ORIGIN_UNREADABLE',
      message: expect.stringContaining('cable cut'),
    });
    const none = putTyped(store, 'x', pieces(Buffer.alloc(0)), { ...film, signal });
    await expect(none).rejects.toMatchObject({ code: 'EMPTY_FILE' });
    const missing = copyTyped(store, 'staging/none', 'x', { ...film, signal });
    await expect(missing).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('that are aborted while their source opens end with the reason, and with nothing else', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const source: Source = {
      async open(_, given) {
        abort.abort(reason);
        return addAbortSignal(given ?? signal, Readable.from([mp4]));
      },
    };
    await expect(putTyped(store, 'x', source, { ...film, signal: abort.signal })).rejects.toBe(reason);
  });

  test.each([0, 10_000])('stop at an abort, silent after %i bytes', async (length) => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const stream = new Readable({ read: () => void setImmediate(() => abort.abort(reason)) });
    if (length > 0) stream.push(mp4.subarray(0, length));
    const put = putTyped(store, 'x', { open: async () => stream }, { ...film, signal: abort.signal });
    await expect(put).rejects.toBe(reason);
    expect(stream.destroyed).toBe(true);
  });
});
