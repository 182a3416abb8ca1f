import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Accepted } from '#answers';
import { startApi, type TestApi } from '#test/api.ts';
import { until } from '#test/until.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

async function accepted(response: Response): Promise<Accepted> {
  expect(response.status).toBe(202);
  return (await response.json()) as Accepted;
}

async function codeOf(response: Response): Promise<[number, string]> {
  const { error } = (await response.json()) as { error: { code: string } };
  return [response.status, error.code];
}

/** What the jobs of an upload will read, file by file. */
async function packed(answer: Accepted) {
  const jobs = await Promise.all(
    answer.jobs.map(({ jobId, lane }) => api.producer.lanes[lane as 'small'].getJob(jobId)),
  );
  return jobs.flatMap((job) => job?.data.files as { filename: string; origin: { key: string; slice?: object } }[]);
}

const stagedKeys = async () => (await api.store.list('staging/')).objects.map(({ key }) => key);

const fields = { project: 'demo', session: 's-1', scene: 'scene-1', assetType: 'video_chunk' };

function form(
  files: Record<string, string>,
  own: Record<string, string | undefined> = {},
  fieldsLast = false,
): FormData {
  const data = new FormData();
  const addFields = () => {
    for (const [name, value] of Object.entries({ ...fields, ...own }))
      if (value !== undefined) data.append(name, value);
  };
  if (!fieldsLast) addFields();
  for (const [name, content] of Object.entries(files)) data.append('file', new Blob([content]), name);
  if (fieldsLast) addFields();
  return data;
}
const send = (body: FormData) => api.call('/v1/uploads/files', { method: 'POST', body });

test.each([false, true])('stages each file as it streams by, fields last: %s', async (fieldsLast) => {
  const answer = await accepted(await send(form({ 'a.mp4': 'one', 'dir/b.mp4': 'three' }, {}, fieldsLast)));
  const [first, second] = await packed(answer);
  expect(first).toMatchObject({ filename: 'a.mp4', contentType: 'video/mp4', size: 3, visibility: 'private' });
  expect(second).toMatchObject({ filename: 'dir/b.mp4', size: 5 });
  const { body } = await api.store.get(second?.origin.key ?? '');
  expect(await text(body)).toBe('three');
});

test('takes many small files, and no more at a time than it can hold', async () => {
  const names = Array.from({ length: 300 }, (_, index) => `f${index}.srt`);
  const files = Object.fromEntries(names.map((name) => [name, name]));
  const answer = await accepted(await send(form(files, { assetType: 'subtitle' })));
  expect((await packed(answer)).map(({ filename }) => filename)).toEqual(names);
});

const LARGE = 'x'.repeat(8 * 1024 * 1024);
const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`f${index}`, 'x']));
const twice = (data: FormData) => {
  data.append('project', 'again');
  return data;
};
const wrong: [why: string, form: () => FormData, status: number, code: string][] = [
  ['no file', () => form({}), 400, 'INVALID_FORM'],
  ['an empty file', () => form({ 'a.mp4': '' }), 422, 'EMPTY_FILE'],
  ['no scene', () => form({ 'a.mp4': 'x' }, { scene: undefined }), 400, 'VALIDATION_FAILED'],
  ['an unknown field', () => form({ 'a.mp4': 'x' }, { tranform: 'x' }), 400, 'VALIDATION_FAILED'],
  ['a field too long', () => form({ 'a.mp4': 'x' }, { project: 'x'.repeat(5_000) }), 413, 'TOO_LARGE'],
  ['too many fields', () => form({ 'a.mp4': 'x' }, many(33)), 413, 'TOO_LARGE'],
  ['a name of a file that hides', () => form({ 'a\u202e.mp4': 'x' }), 400, 'VALIDATION_FAILED'],
  ['a field given twice', () => twice(form({ 'a.mp4': 'x' })), 400, 'VALIDATION_FAILED'],
  ['the first of large files', () => form({ 'a\u202e.mp4': LARGE, 'b.mp4': LARGE }), 400, 'VALIDATION_FAILED'],
  ['the second of large files', () => form({ 'a.mp4': LARGE, 'b.mp4': '', 'c.mp4': LARGE }), 422, 'EMPTY_FILE'],
  ['a second empty file', () => form({ 'a.mp4': 'x', 'b.mp4': '' }), 422, 'EMPTY_FILE'],
];
test.each(wrong)('refuses %s and keeps nothing of it', async (_why, make, status, code) => {
  const before = await stagedKeys();
  const response = await send(make());
  expect(await codeOf(response)).toEqual([status, code]);
  expect(await stagedKeys()).toEqual(before);
});

test('names the empty file', async () => {
  const { error } = (await (await send(form({ 'a.mp4': 'x', 'b.mp4': '' }))).json()) as { error: object };
  const message = 'b.mp4 has no bytes.';
  expect(error).toMatchObject({ message, details: { fields: [{ path: 'file[1]', message, code: 'EMPTY_FILE' }] } });
});

const FILE = 'Content-Disposition: form-data; name="file"; filename="a.bin"';
const X = 'multipart/form-data; boundary=X';
test.each([
  ['ends in a file', X, `--X\r\n${FILE}\r\n\r\nhalf`],
  ['ends in a header', X, `--X\r\n${FILE}\r\n\r\nwhole\r\n--X\r\nContent-Disp`],
  ['ends after a file', X, `--X\r\n${FILE}\r\n\r\nwhole\r\n--X\r\n`],
  ['is empty', X, ''],
  ['has another boundary', X, `--Y\r\n${FILE}\r\n\r\nwhole\r\n--Y--\r\n`],
  ['names no boundary', 'multipart/form-data', `--X\r\n${FILE}\r\n\r\nwhole\r\n--X--\r\n`],
  ['has parts without a name', X, '--X\r\nContent-Type: a/b\r\n\r\nwhole\r\n--X--\r\n'],
])('a form that %s is refused and keeps nothing', async (_what, type, body) => {
  const before = await stagedKeys();
  const response = await api.call('/v1/uploads/files', { method: 'POST', headers: { 'content-type': type }, body });
  expect(await codeOf(response)).toEqual([400, 'INVALID_FORM']);
  expect(await stagedKeys()).toEqual(before);
});

test('a caller who hangs up leaves nothing behind', async () => {
  const before = await stagedKeys();
  const key = await api.key();
  const upload = request(`${api.url}/v1/uploads/files`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'multipart/form-data; boundary=X' },
  });
  upload.on('error', () => {});
  const part = (name: string) => `--X\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n\r\n`;
  upload.write(`${part('a.bin')}whole\r\n${part('b.bin')}half`);
  await until(async () => (await stagedKeys()).length > before.length, {
    within: 5_000,
    what: 'the first file to be staged',
  });
  upload.destroy();
  await until(async () => (await stagedKeys()).length === before.length, {
    within: 5_000,
    what: 'staging to be cleared',
  });
});

test('wants a form', async () => {
  const json = await api.post('/v1/uploads/files', fields);
  expect(await codeOf(json)).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
});
