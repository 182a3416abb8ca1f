import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { memoryJournal } from '#test/memory-journal.ts';
import { pieces, sha256 } from '#test/sources.ts';
import { until } from '#test/until.ts';
import { createDiskStore } from './disk.ts';
import { createDiskUploads } from './disk-uploads.ts';
import type { Journal, Store } from './store.ts';

const PART = 8 * 1024 ** 2;
const KEY = 'a.mp4';
const PUTTING = join(import.meta.dirname, '../../test/putting.ts');
const video = { contentType: 'video/mp4' };

let dir: string;
let uploads: string;
let store: Store;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reelay-resume-'));
  uploads = join(dir, 'uploads');
  store = createDiskStore({ dir, urlSecret: Buffer.alloc(32), clock: Date.now });
});
afterEach(() => rm(dir, { recursive: true }));

async function expectWhole(bytes: Buffer): Promise<void> {
  expect(sha256(await buffer((await store.get(KEY)).body))).toBe(sha256(bytes));
  expect(await readdir(uploads)).toEqual([]);
}

/** The journal of a put that broke off with `parts` parts done, and the file of its bytes. */
async function brokenOff(bytes: Buffer, parts: number) {
  const journal = memoryJournal();
  const abort = new AbortController();
  const onProgress = (done: number) => done >= parts * PART && abort.abort(new Error('crashed'));
  const put = store.put(KEY, pieces(bytes), { ...video, journal, signal: abort.signal, onProgress });
  await expect(put).rejects.toThrow('crashed');
  const [upload] = (await store.listUploads(KEY)).uploads;
  return { journal, file: join(uploads, upload?.uploadId ?? '') };
}

test('a process killed in the middle, three times over, costs a part or two each time', async () => {
  const bytes = randomBytes(10 * PART + 5);
  const [film, journal] = [join(dir, 'film.mp4'), join(dir, 'journal.json')];
  await writeFile(film, bytes);
  await writeFile(journal, '{}');
  const noted = async () => Object.keys(JSON.parse(await readFile(journal, 'utf8'))).length;
  for (const fields of [1, 4, 8]) {
    const child = spawn(process.execPath, [PUTTING, dir, film, journal, String(fields)], { stdio: 'inherit' });
    const exited = once(child, 'exit');
    await until(async () => (await noted()) === fields, { within: 20_000, what: `${fields} fields of the journal` });
    child.kill('SIGKILL');
    await exited;
    expect((await store.listUploads('')).uploads).toMatchObject([{ key: KEY }]);
    expect(await store.head(KEY)).toBeUndefined();
  }
  const child = spawn(process.execPath, [PUTTING, dir, film, journal], { stdio: ['ignore', 'pipe', 'inherit'] });
  const written = Number(await text(child.stdout));
  // Seven of ten parts are noted.
  expect(written).toBeGreaterThan(3 * PART);
  expect(written).toBeLessThan(3 * PART + PART / 2);
  await expectWhole(bytes);
});

test('a process that died with the object in place, before it forgot the upload, had done its work', async () => {
  const bytes = randomBytes(2 * PART);
  const { journal, file } = await brokenOff(bytes, 1);
  const note = await readFile(`${file}#meta`);
  await store.put(KEY, pieces(bytes), { ...video, journal });
  await writeFile(`${file}#meta`, note);
  const before = await stat(join(dir, 'objects', KEY));
  await store.put(KEY, pieces(bytes), { ...video, journal });
  expect((await stat(join(dir, 'objects', KEY))).ino).toBe(before.ino);
  await expectWhole(bytes);
});

test('what is there by then under the key, but is not it, is replaced', async () => {
  const bytes = randomBytes(2 * PART);
  const { journal } = await brokenOff(bytes, 1);
  await store.put(KEY, pieces(bytes), { ...video, journal });
  await writeFile(join(dir, 'objects', KEY), randomBytes(2 * PART));
  await store.put(KEY, pieces(bytes), { ...video, journal });
  await expectWhole(bytes);
  await writeFile(join(dir, 'objects', KEY), bytes.subarray(0, 100));
  await store.put(KEY, pieces(bytes), { ...video, journal });
  await expectWhole(bytes);
});

test('who still writes the old bytes of a source that changed cannot reach the new ones', async () => {
  const bytes = randomBytes(3 * PART);
  const { journal, file } = await brokenOff(bytes, 2);
  const old = await open(file, 'r+');
  const changed = randomBytes(3 * PART);
  await store.put(KEY, pieces(changed), { ...video, journal });
  await old.write(bytes, 0, bytes.length, 0);
  await old.close();
  await expectWhole(changed);
});

test('an upload that somebody ends while its last part is noted leaves nothing at the key', async () => {
  const journal = memoryJournal();
  const ending: Journal = {
    ...journal,
    async write(fields) {
      await journal.write(fields);
      for (const upload of (await store.listUploads('')).uploads) await store.abortUpload(upload);
    },
  };
  const put = store.put(KEY, pieces(randomBytes(PART + 1)), { ...video, journal: ending });
  await expect(put).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  expect(await readdir(join(dir, 'objects'))).toEqual([]);
});

test('a file that is not what was written, when all is read back, is begun anew', async () => {
  const bytes = randomBytes(3 * PART + 1);
  const { journal, file } = await brokenOff(bytes, 2);
  let spoiled = false;
  async function* cut() {
    for (let at = 0; at < bytes.length; at += PART) {
      if (at === 3 * PART && !spoiled) {
        // The first part has been compared by now.
        spoiled = true;
        await flipByte(file, 77);
      }
      yield bytes.subarray(at, at + PART);
    }
  }
  const progress: number[] = [];
  const read: number[] = [];
  await store.put(
    KEY,
    { size: bytes.length, open: async () => Readable.from(cut()) },
    {
      ...{ ...video, journal },
      onProgress: (done) => progress.push(done),
      onRead: (taken) => read.push(taken),
    },
  );
  expect(spoiled).toBe(true);
  expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  expect(read.at(-1)).toBe(2 * bytes.length);
  await expectWhole(bytes);
});

test('uploads are kept however old, and what belongs to none goes once it is an hour old', async () => {
  const { file } = await brokenOff(randomBytes(2 * PART), 1);
  const stray = randomUUID();
  await writeFile(join(uploads, stray), 'bytes whose note never came');
  await writeFile(join(uploads, `${randomUUID()}#meta`), '{"key":"half a no');
  await writeFile(join(uploads, 'no id#meta'), '{}');
  for (const name of await readdir(uploads)) await utimes(join(uploads, name), 0, 0);
  const young = randomUUID();
  await writeFile(join(uploads, young), 'bytes whose note never came');
  const again = createDiskStore({ dir, urlSecret: Buffer.alloc(32), clock: Date.now });
  expect((await again.listUploads('')).uploads).toMatchObject([{ key: KEY }]);
  expect((await readdir(uploads)).toSorted()).toEqual([basename(file), `${basename(file)}#meta`, young].toSorted());
});

async function flipByte(path: string, at: number): Promise<void> {
  const handle = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  await handle.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
  await handle.close();
}

test('a process that lost its job and wakes up late writes nothing into what the next one made', async () => {
  const [old, bytes] = [randomBytes(2 * PART), randomBytes(2 * PART)];
  old.copy(bytes, 0, 0, PART);
  const journal = memoryJournal();
  let lost = false;
  const fenced: Journal = {
    read: journal.read,
    write: async (fields) => (lost ? Promise.reject(new Error('lost')) : journal.write(fields)),
  };
  const asleep = Promise.withResolvers<void>();
  async function* dozing() {
    yield old.subarray(0, PART + 1);
    await asleep.promise;
    yield old.subarray(PART + 1);
  }
  const source = { size: old.length, open: async () => Readable.from(dozing()) };
  const first = store.put(KEY, source, { ...video, journal: fenced });
  await until(async () => 'part:1' in journal.fields, { within: 20_000, what: 'the first part' });
  lost = true;
  await store.put(KEY, pieces(bytes), { ...video, journal });
  asleep.resolve();
  await expect(first).rejects.toThrow('lost');
  await expectWhole(bytes);
});

test('an upload that cannot be begun leaves no note of it', async () => {
  const uploadId = randomUUID();
  await mkdir(join(uploads, uploadId), { recursive: true });
  const begun = createDiskUploads(uploads).begin({ key: KEY, uploadId, startedAt: 0 });
  await expect(begun).rejects.toThrow('EEXIST');
  expect(await readdir(uploads)).toEqual([uploadId]);
});
