import { appendFile, mkdir, mkdtemp, open, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createPathOpener } from './path-opener.ts';
import { fileSource } from './path-source.ts';

const SIZE = 2 * 2 ** 20;
const fails = (code: string) => expect.objectContaining({ code });
let dir: string;
let file: string;

/** What may happen to a file while somebody reads it. */
const CHANGES: [
  what: string,
  change: (file: string) => Promise<void>,
  code: 'SIZE_MISMATCH' | 'ORIGIN_UNREADABLE' | 'PATH_NOT_ALLOWED' | 'ORIGIN_NOT_FOUND',
][] = [
  ['grows', (file) => appendFile(file, 'x'), 'SIZE_MISMATCH'],
  ['shrinks', (file) => truncate(file, 2 ** 20), 'SIZE_MISMATCH'],
  ['is emptied', (file) => truncate(file, 0), 'SIZE_MISMATCH'],
  ['is overwritten in place', overwrite, 'ORIGIN_UNREADABLE'],
];
const REPLACEMENTS: typeof CHANGES = [
  ['is replaced by one of the same size', replace, 'ORIGIN_UNREADABLE'],
  ['is replaced by a link out', linkOut, 'PATH_NOT_ALLOWED'],
  ['is deleted', rm, 'ORIGIN_NOT_FOUND'],
];

describe('a file', () => {
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'reelay-changes-'));
    file = join(dir, 'root/film.mp4');
    await mkdir(join(dir, 'root'));
    await writeFile(join(dir, 'secret'), Buffer.alloc(SIZE, 's'));
    await writeFile(file, Buffer.alloc(SIZE, 'a'));
    // A change within one tick of the disk's clock would not show.
    await utimes(file, 1_000, 1_000);
  });
  afterEach(() => rm(dir, { recursive: true }));

  test.each([...CHANGES, ...REPLACEMENTS])(
    'that %s between two looks is not read on: %$',
    async (_what, change, code) => {
      const source = await fileSource('film.mp4', createPathOpener([join(dir, 'root')]));
      await change(file);
      await expect(source.open(0)).rejects.toEqual(fails(code));
      await expect(source.open(2 ** 20)).rejects.toEqual(fails(code));
    },
  );

  test.each(CHANGES)('that %s while it is read is no file that was read: %$', async (_what, change, code) => {
    const source = await fileSource('film.mp4', createPathOpener([join(dir, 'root')]));
    const stream = await source.open(0);
    const chunks = stream[Symbol.asyncIterator]();
    await chunks.next();
    await change(file);
    await expect(buffer({ [Symbol.asyncIterator]: () => chunks } as never)).rejects.toEqual(fails(code));
  });

  test.each(REPLACEMENTS)('that %s while it is read is read to its end', async (_what, change) => {
    const stream = await (await fileSource('film.mp4', createPathOpener([join(dir, 'root')]))).open(0);
    await change(file);
    expect((await buffer(stream)).equals(Buffer.alloc(SIZE, 'a'))).toBe(true);
  });
});

/** What a racer swaps, in a folder `root`, between something inside and something outside. */
const RACES: [what: string, swapped: string, inside: string, outside: string, read: string][] = [
  ['a link to the file', 'clip.mp4', 'good/clip.mp4', '../bad/clip.mp4', 'clip.mp4'],
  ['a link to the folder in the middle', 'folder', 'good', '../bad', 'folder/clip.mp4'],
];
const TRIES = 2_000;
/** Renames a new link over the old one, to the inside and to the outside in turn, until it is told to stop. */
const RACER = `
  const { renameSync, symlinkSync } = require('node:fs');
  const { link, targets, stop } = require('node:worker_threads').workerData;
  const flag = new Int32Array(stop);
  for (let turn = 0; Atomics.load(flag, 0) === 0; turn += 1) {
    symlinkSync(targets[turn % 2], link + '.new');
    renameSync(link + '.new', link);
  }`;

describe('a path that is swapped between inside and outside thousands of times', () => {
  test.each(RACES)('by %s never gives bytes from outside', async (_what, swapped, inside, outside, read) => {
    const folder = await mkdtemp(join(tmpdir(), 'reelay-race-'));
    for (const [name, bytes] of [
      ['root/good', 'inside'],
      ['bad', 'outside'],
    ] as const) {
      await mkdir(join(folder, name), { recursive: true });
      await writeFile(join(folder, name, 'clip.mp4'), bytes);
    }
    const link = join(folder, 'root', swapped);
    await symlink(inside, link);
    const stop = new SharedArrayBuffer(4);
    const racer = new Worker(RACER, { eval: true, workerData: { link, targets: [outside, inside], stop } });
    const ended = new Promise((resolve) => racer.once('exit', resolve));
    const openPath = createPathOpener([join(folder, 'root')]);
    const seen = new Map<string, number>();
    for (let tries = 0; tries < TRIES; tries += 1) {
      const outcome = await fileSource(read, openPath)
        .then(async (source) => String(await buffer(await source.open(0))))
        .catch((error: { code: string }) => error.code);
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }
    Atomics.store(new Int32Array(stop), 0, 1);
    await ended;
    await rm(folder, { recursive: true });
    // Both sides of the race were met.
    expect([...seen.keys()].toSorted()).toEqual(['PATH_NOT_ALLOWED', 'inside']);
  });
});

async function overwrite(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(Buffer.from('b'), 0, 1, 2 ** 20);
  await handle.close();
}

async function replace(file: string): Promise<void> {
  await writeFile(`${file}.new`, Buffer.alloc(SIZE, 'b'));
  await utimes(`${file}.new`, 1_000, 1_000);
  await rename(`${file}.new`, file);
}

async function linkOut(file: string): Promise<void> {
  await rm(file);
  await symlink(join(dir, 'secret'), file);
}
