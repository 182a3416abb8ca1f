import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '#config';
import { type OriginLocator, originLocator } from './origins.ts';

let dir: string;
let locate: OriginLocator;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reelay-door-'));
  await mkdir(join(dir, 'root'));
  await writeFile(join(dir, 'root/clip.mp4'), '0123456789');
  await symlink('/etc/passwd', join(dir, 'root/link'));
  locate = originLocator(readConfig({ UPLOAD_ROOTS: join(dir, 'root'), URL_ORIGIN_MAX_BYTES: '1000' }), {
    get: async () => undefined,
  });
});
afterAll(() => rm(dir, { recursive: true }));

test('bytes that came along are handed on, and a file says its size', async () => {
  expect(await locate({ kind: 'inline', text: 'é' }, 'demo', undefined)).toEqual({ bytes: Buffer.from('é'), size: 2 });
  expect(await locate({ kind: 'inline', base64: 'AAE=' }, 'demo', undefined)).toEqual({
    bytes: Buffer.from([0, 1]),
    size: 2,
  });
  const path = { kind: 'path', path: 'clip.mp4' } as const;
  expect(await locate(path, 'demo', undefined)).toEqual({ origin: path, size: 10 });
  const url = { kind: 'url', url: 'https://files.example/clip.mp4' } as const;
  expect(await locate(url, 'demo', 1_000)).toEqual({ origin: url });
});

/** A few of each kind; all of them are in the tables of storage, whose judges these are. */
const REFUSED: [kind: 'path' | 'url', input: string, size: number | undefined, code: string][] = [
  ['path', '../secret', undefined, 'PATH_NOT_ALLOWED'],
  ['path', '/etc/passwd', undefined, 'PATH_NOT_ALLOWED'],
  ['path', 'link', undefined, 'PATH_NOT_ALLOWED'],
  ['path', 'none.mp4', undefined, 'ORIGIN_NOT_FOUND'],
  ['url', 'http://127.1/', undefined, 'URL_NOT_ALLOWED'],
  ['url', 'http://[fd00:ec2::254]/', undefined, 'URL_NOT_ALLOWED'],
  ['url', 'http://files.example:22/', undefined, 'URL_NOT_ALLOWED'],
  ['url', 'https://user@files.example/', undefined, 'URL_NOT_ALLOWED'],
  ['url', 'https://files.example/', 1_001, 'TOO_LARGE'],
];
test.each(REFUSED)('the door refuses the %s %s of %s bytes: %s', async (kind, input, size, code) => {
  const origin = kind === 'path' ? { kind, path: input } : { kind, url: input };
  await expect(locate(origin, 'demo', size)).rejects.toMatchObject({ code });
});
