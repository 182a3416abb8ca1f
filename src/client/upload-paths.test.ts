import { appendFile, mkdir, mkdtemp, readdir, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { errorOf } from '#test/error-of.ts';
import { type StandInApi, startStandInApi } from '#test/stand-in-api.ts';
import { createClient, type FileReport, type UploadPathsOptions, type UploadProgress } from './node.ts';

const SCENE = { project: 'demo', session: 's1', scene: 'c1' } as const;

let api: StandInApi;
let dir: string;
let state: string;

beforeEach(async () => {
  api = await startStandInApi();
  dir = await mkdtemp(join(tmpdir(), 'reelay-folder-'));
  state = await mkdtemp(join(tmpdir(), 'reelay-state-'));
});
afterEach(async () => {
  await api.close();
  await Promise.all([dir, state].map((path) => rm(path, { recursive: true })));
});

async function write(name: string, content: string): Promise<string> {
  const path = join(dir, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  return path;
}
/** A file too large to travel with others. */
async function writeLarge(name: string): Promise<void> {
  await truncate(await write(name, name), 2 ** 20 + 1);
}
const uploadDir = (own: Partial<UploadPathsOptions> = {}) =>
  createClient({ apiUrl: api.url, key: api.key, retryForMs: 0 }).uploadDir(dir, {
    ...SCENE,
    env: { XDG_STATE_HOME: state },
    ...own,
  });
const names = () => api.received.map(({ filename }) => filename).sort();
const journal = async () => join(state, 'reelay/uploads', (await readdir(join(state, 'reelay/uploads')))[0] ?? '');

test('a folder is uploaded with its types, metadata and progress', async () => {
  await write('sub/scene.py', 'pass');
  await write('corrupt.png', 'x');
  await write('.hidden.py', 'x');
  await writeLarge('clip.mp4');
  const told: FileReport[] = [];
  const progress: UploadProgress[] = [];
  const { files, skipped, closed } = await uploadDir({
    metadata: ({ name }) => ({ from: name }),
    onFile: (file) => told.push(file),
    onProgress: (now) => progress.push(now),
  });
  expect([skipped.length, closed]).toEqual([1, undefined]);
  expect(files.map(({ name, status }) => [name, status]).sort()).toEqual([
    ['clip.mp4', 'ready'],
    ['corrupt.png', 'error'],
    ['sub/scene.py', 'ready'],
  ]);
  expect(files.find(({ status }) => status === 'error')?.error).toMatchObject({ code: 'STORE_REJECTED' });
  expect(told.map(({ path }) => path).sort()).toEqual(files.map(({ path }) => path).sort());
  const bytes = 2 ** 20 + 1 + 4 + 1;
  expect(progress[0]).toMatchObject({ phase: 'sending', files: 3, sentFiles: 0, bytes, sentBytes: 0, already: 0 });
  expect(progress.at(-1)).toMatchObject({ phase: 'processing', sentFiles: 3, sentBytes: bytes, awaited: 3, ended: 3 });
  const metadata = api.received.map(({ filename, fields }) => [filename, fields.metadata]);
  expect(metadata).toContainEqual(['sub/scene.py', { from: 'sub/scene.py' }]);
  expect(metadata).toContainEqual(['clip.mp4', '{"from":"clip.mp4"}']);
});

test('what is wrong is said before anything is sent', async () => {
  await write('notes.txt', 'x');
  expect(await errorOf(uploadDir())).toMatchObject({
    code: 'NOT_UPLOADABLE',
    details: { mistakes: [expect.stringContaining('notes.txt')] },
  });
  expect(api.requests).toEqual([]);
});

describe('the next run', () => {
  test('sends nothing that is there, and what changed, failed or is new', async () => {
    await write('a.py', 'a');
    await write('touched.py', 't');
    await write('edited.py', 'e');
    await write('corrupt.py', 'c');
    await writeLarge('clip.mp4');
    await uploadDir();
    expect(names()).toHaveLength(5);
    await utimes(join(dir, 'touched.py'), 1, 1);
    await write('edited.py', 'E');
    await write('new.py', 'n');
    const before = api.received.length;
    const { files } = await uploadDir();
    const sent = api.received.slice(before).map(({ filename }) => filename);
    expect(sent.sort()).toEqual(['corrupt.py', 'edited.py', 'new.py']);
    const already = files.filter((file) => file.already).map(({ name, status }) => [name, status]);
    expect(already.sort()).toEqual([
      ['a.py', 'ready'],
      ['clip.mp4', 'ready'],
      ['touched.py', 'ready'],
    ]);
    await uploadDir({ visibility: 'public' });
    expect(api.received.slice(-6).every(({ fields }) => fields.visibility === 'public')).toBe(true);
  });

  test('sends everything to an API that forgot it, for another entity, and when fresh', async () => {
    await write('a.py', 'a');
    await uploadDir();
    api.forget();
    await uploadDir();
    expect(names()).toEqual(['a.py']);
    await uploadDir({ scene: 'c2' });
    await uploadDir({ resume: 'fresh' });
    await uploadDir();
    expect(names()).toEqual(['a.py', 'a.py', 'a.py']);
  });

  test('repeats a request whose answer was lost under its own key', async () => {
    await write('a.py', 'a');
    await writeLarge('clip.mp4');
    for (const route of ['/v1/uploads', '/v1/uploads/files']) api.loseAnswerOnce(route);
    const { closed } = await uploadDir({ concurrency: 2 });
    expect(closed).toMatchObject({ code: 'UNREACHABLE' });
    expect(names()).toEqual(['a.py', 'clip.mp4']);
    await write('new.py', 'n');
    const { files } = await uploadDir();
    expect(files.map(({ name, status, already = false }) => [name, status, already]).sort()).toEqual([
      ['a.py', 'ready', true],
      ['clip.mp4', 'ready', true],
      ['new.py', 'ready', false],
    ]);
    expect(names()).toEqual(['a.py', 'clip.mp4', 'new.py']);
  });

  test('sends a request anew when a file changed unseen since its answer was lost', async () => {
    const path = await write('a.py', 'a');
    await utimes(path, 5, 5);
    await write('b.py', 'b');
    api.loseAnswerOnce('/v1/uploads');
    await uploadDir();
    await writeFile(path, 'A');
    await utimes(path, 5, 5);
    const { files } = await uploadDir();
    expect(files.map(({ status }) => status)).toEqual(['ready', 'ready']);
    expect(names()).toEqual(['a.py', 'a.py', 'b.py', 'b.py']);
  });

  test('goes on from a journal that was cut in the middle of a line', async () => {
    await write('a.py', 'a');
    await uploadDir();
    await appendFile(await journal(), '{"kind":"request","key":"half');
    await write('b.py', 'b');
    await uploadDir();
    await uploadDir();
    expect(names()).toEqual(['a.py', 'b.py']);
  });
});

test('a folder without room for a journal is uploaded all the same', async () => {
  await write('a.py', 'a');
  const notes: string[] = [];
  const env = { XDG_STATE_HOME: join(dir, 'a.py') };
  const { files } = await uploadDir({ env, onNote: (note) => notes.push(note) });
  expect(files.map(({ status }) => status)).toEqual(['ready']);
  expect(notes.join()).toContain('an interrupted upload will start anew');
});
