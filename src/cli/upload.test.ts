import { symlink, truncate } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Batch } from '#answers';
import { SCENE, type SpawnedCli, spawnedCli } from '#test/spawned-cli.ts';
import { until } from '#test/until.ts';

let cli: SpawnedCli;
let { api, dir, start, reelay, write } = {} as SpawnedCli;

beforeEach(async () => {
  cli = await spawnedCli();
  ({ api, dir, start, reelay, write } = cli);
});
afterEach(() => cli.close());

describe('upload', () => {
  test('takes a folder with relative names, types by extension, and says what it skips', async () => {
    await write('renders/clip.MP4', 'film');
    await write('renders/sub/scene.py', 'pass');
    await write('renders/sub/poster.webp', 'image');
    await write('renders/.git/config', 'hidden');
    await write('renders/sub/__init__.py', '');
    await symlink(join(dir, 'renders/clip.MP4'), join(dir, 'renders/link.mp4'));
    const { code, stdout, stderr } = await reelay(['upload', 'renders', ...SCENE, '--visibility', 'public']);
    expect(code).toBe(0);
    expect(api.received.map(({ filename, contentType, fields }) => [filename, contentType, fields.assetType])).toEqual([
      ['clip.MP4', 'video/mp4', 'video_chunk'],
      ['sub/poster.webp', 'image/webp', 'thumbnail'],
      ['sub/scene.py', 'text/plain', 'source_code'],
    ]);
    expect(api.received[0]?.fields).toMatchObject({
      project: 'demo',
      session: 's1',
      scene: 'c1',
      visibility: 'public',
    });
    expect(stderr).toContain(`skipped ${join(dir, 'renders/.git')}: it is hidden\n`);
    expect(stderr).toContain(`skipped ${join(dir, 'renders/link.mp4')}: it is a link\n`);
    expect(stderr).toContain(`skipped ${join(dir, 'renders/sub/__init__.py')}: it is empty\n`);
    expect(stderr).toContain('sending 3 files, 13 bytes\n');
    expect(stderr).toContain(`sent 3 files as ${api.received[0]?.batchId}\n`);
    expect(stdout).toContain(`${api.received[1]?.assetId}  sub/poster.webp  ready v2\n`);
    expect(stdout).toMatch(/3 files: 3 ready\n$/);
    for (const control of ['\r', '\u001b']) expect(stdout + stderr).not.toContain(control);
  });

  test('sends small files together and large ones as forms', async () => {
    await write('a.py', 'a');
    await write('b.py', 'b');
    await truncate(await write('large.mp4', ''), 2 ** 20 + 1);
    const link = join(dir, 'latest.mp4');
    await symlink(join(dir, 'large.mp4'), link);
    const { code } = await reelay(['upload', 'a.py', link, 'b.py', ...SCENE]);
    expect(code).toBe(0);
    const posts = api.requests.filter((request) => request.startsWith('POST')).sort();
    expect(posts).toEqual(['POST /v1/uploads', 'POST /v1/uploads/files']);
    expect(api.received.map(({ filename, size }) => [filename, size]).sort()).toEqual([
      ['a.py', 1],
      ['b.py', 1],
      ['latest.mp4', 2 ** 20 + 1],
    ]);
  });

  test('ends with 1 when a file failed, and says what to do', async () => {
    await write('corrupt.mp4', 'x');
    await write('fine.mp4', 'x');
    const { code, stdout } = await reelay(['upload', '.', ...SCENE]);
    expect(code).toBe(1);
    expect(stdout).toContain('corrupt.mp4\n  STORE_REJECTED: The store said no.\n    Read what it said.');
    expect(stdout).toMatch(/2 files: 1 ready, 1 error\n$/);
  });

  test('prints one JSON document with --json, and nothing else', async () => {
    await write('corrupt.mp4', 'x');
    await write('fine.mp4', 'x');
    await write('.hidden.mp4', 'x');
    const { code, stdout, stderr } = await reelay(['upload', '.', ...SCENE, '--json']);
    const [corrupt, fine] = api.received;
    expect([code, stderr]).toEqual([1, '']);
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ batches: [fine?.batchId], total: 2, ready: 1, failed: 1 },
      files: [
        { name: 'corrupt.mp4', status: 'error', assetId: corrupt?.assetId, error: { code: 'STORE_REJECTED' } },
        { name: 'fine.mp4', status: 'ready', assetId: fine?.assetId, version: 2 },
      ],
      skipped: [{ path: join(dir, '.hidden.mp4'), why: 'it is hidden' }],
    });
  });

  test('does not wait with --no-wait', async () => {
    await write('clip.mp4', 'x');
    const { code, stdout } = await reelay(['upload', 'clip.mp4', ...SCENE, '--no-wait']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/1 file: 1 accepted\n$/);
    expect(api.requests).toEqual(['POST /v1/uploads']);
  });

  test('sends nothing while there is a mistake, and names them all', async () => {
    await write('clip.mp4', 'x');
    await write('notes.txt', 'x');
    await write('empty.mp4', '');
    const { code, stdout, stderr } = await reelay([
      'upload',
      'clip.mp4',
      'notes.txt',
      'empty.mp4',
      'none.mp4',
      ...SCENE,
    ]);
    expect([code, stdout, api.requests]).toEqual([2, '', []]);
    expect(stderr).toContain('notes.txt: its type cannot be told from its extension; name it (--type).\n');
    expect(stderr).toContain('empty.mp4 is empty.\n');
    expect(stderr).toContain('none.mp4: there is no such file.\n');
    expect(stderr).toMatch(/Usage: reelay upload \[options\] <paths\.\.\.>\n$/);

    const noScene = await reelay(['upload', 'clip.mp4', ...SCENE.slice(0, 4)]);
    expect([noScene.code, api.requests]).toEqual([2, []]);
    expect(noScene.stderr).toContain('a video_chunk belongs to a scene: name one (--scene).');
    const film = await reelay(['upload', 'clip.mp4', ...SCENE, '--type', 'combined_video']);
    expect([film.code, api.requests]).toEqual([2, []]);
  });

  test('goes on with other files when one is refused', async () => {
    await truncate(await write('large.mp4', ''), 2 ** 20 + 1);
    await write('a.py', 'a');
    const details = {
      code: 'TOO_LARGE',
      message: 'Too large.',
      retryable: false,
      nextAction: 'Split it.',
      details: {},
    };
    api.answerOnce('/v1/uploads/files', 413, {}, { error: details });
    const { code, stdout, stderr } = await reelay(['upload', '.', ...SCENE]);
    expect(code).toBe(1);
    expect(stderr).toContain('not accepted: large.mp4 (TOO_LARGE)\n');
    expect(stderr).not.toContain('Split it.');
    expect(stdout).toContain('large.mp4\n  TOO_LARGE: Too large.\n    Split it.');
    expect(stdout).toMatch(/2 files: 1 ready, 1 error\n$/);
  });

  test('stops when the key is refused, with 4', async () => {
    for (const name of ['a.mp4', 'b.mp4', 'c.mp4']) await truncate(await write(name, ''), 2 ** 20 + 1);
    const { code, stdout } = await reelay(['upload', '.', ...SCENE, '--concurrency', '1'], { REELAY_KEY: 'rk_wrong' });
    expect([code, api.requests]).toEqual([4, ['POST /v1/uploads/files']]);
    expect(stdout).toContain('UNAUTHENTICATED: The key is not known.');
    expect(stdout).toMatch(/3 files: 1 error, 2 not sent\n$/);
  });

  test('ends with 3 when the API is not there', async () => {
    await write('clip.mp4', 'x');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await new Promise((resolve) => server.close(resolve));
    const { code, stdout, stderr } = await reelay([
      'upload',
      'clip.mp4',
      ...SCENE,
      '--api-url',
      apiUrl,
      '--wait-api',
      '1',
    ]);
    expect(code).toBe(3);
    expect(stdout).toContain(`UNREACHABLE: ${apiUrl} cannot be reached (ECONNREFUSED).`);
    expect(stderr).toContain('waiting for the API, up to 1 s: UNREACHABLE');
  });

  test('ends with 130 at Ctrl-C, and tells how to follow what was accepted', async () => {
    await write('clip.mp4', 'x');
    const running: Batch = {
      ...{ batchId: 'b_x', project: 'demo', owner: 'k_agent', state: 'running', createdAt: 0 },
      ...{ total: 1, successful: [], failed: [], size: 1 },
    };
    for (let i = 0; i < 100; i++) api.answerOnce('/v1/batches/', 200, {}, running);
    const { child, ended } = start(['upload', 'clip.mp4', ...SCENE]);
    child.stderr?.on('data', (chunk: Buffer) => {
      if (chunk.includes('processing')) child.kill('SIGINT');
    });
    const { code, stderr } = await ended;
    expect(code).toBe(130);
    expect(stderr).toContain(`accepted, and goes on: reelay watch ${api.received[0]?.batchId}\n`);
  });

  test('of a folder, killed and typed again, sends only what was missing', async () => {
    for (let i = 0; i < 40; i++) await truncate(await write(`clips/${i}.mp4`, ''), 2 ** 20 + 1 + i);
    const args = ['upload', 'clips', ...SCENE, '--concurrency', '1'];
    const { child, ended } = start(args);
    await until(() => api.received.length >= 5, { within: 20_000, every: 5, what: 'some of it to arrive' });
    child.kill('SIGKILL');
    await ended;
    const { code, stdout, stderr } = await reelay(args);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^\d+ files already there\nsending \d+ files, /);
    expect(stdout).toMatch(/40 files: 40 ready; \d+ of them were already there\n$/);
    expect(api.received.map(({ size }) => size).sort()).toEqual(Array.from({ length: 40 }, (_, i) => 2 ** 20 + 1 + i));
    const again = await reelay([...args, '--dry-run']);
    expect(again.stdout).toBe('would send 0 files, 0 bytes, in 0 requests\n40 files already there\n');
    const fresh = await reelay([...args, '--dry-run', '--fresh', '--json']);
    expect(JSON.parse(fresh.stdout)).toMatchObject({ outcome: 'planned', requests: 40, already: 0 });
    expect(api.received).toHaveLength(40);
  });

  test('waits for an API that is away, and says so once', async () => {
    await write('clip.mp4', 'x');
    for (let i = 0; i < 2; i++) api.answerOnce('/v1/uploads', 503, {}, { error: busy });
    const { code, stderr } = await reelay(['upload', 'clip.mp4', ...SCENE]);
    expect(code).toBe(0);
    expect(stderr.match(/waiting for the API/g)).toHaveLength(1);
    expect(stderr).toContain('waiting for the API, up to 120 s: BACKLOG_FULL: Too much waits.\n');
  });
});

const busy = {
  code: 'BACKLOG_FULL',
  message: 'Too much waits.',
  retryable: true,
  nextAction: 'Send it again.',
  details: {},
};
