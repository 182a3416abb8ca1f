import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClient, type NodeClient } from '#client/node.ts';
import { errorOf } from '#test/error-of.ts';
import { type LossyProxy, startLossyProxy } from '#test/lossy-proxy.ts';
import { type Stack, startStack } from '#test/stack.ts';

const SCENE = { project: 'demo', session: 'client', scene: 'intro' } as const;

let stack: Stack;
let proxy: LossyProxy;
let client: NodeClient;
let dir: string;

beforeAll(async () => {
  stack = await startStack();
  proxy = await startLossyProxy(stack.apiUrl);
  client = createClient({ apiUrl: proxy.url, key: stack.agentKey });
  dir = await mkdtemp(join(tmpdir(), 'reelay-client-e2e-'));
});
afterAll(async () => {
  await proxy.close();
  await stack.remove();
  await rm(dir, { recursive: true });
});

test('a job is watched by its events to its end, and is then too late to cancel', async () => {
  const bytes = new TextEncoder().encode('WEBVTT');
  const file = { ...SCENE, assetType: 'subtitle', filename: 'en.vtt', bytes, metadata: { language: 'en' } } as const;
  const { jobs } = await client.uploadFile(file);
  const [job] = jobs;
  const states: string[] = [];
  for await (const { state } of client.watch({ jobId: job?.jobId ?? '' })) states.push(state);
  expect(states.at(-1)).toBe('completed');
  expect(await errorOf(client.cancelJob(job?.jobId ?? ''))).toMatchObject({ code: 'CONFLICT' });
  const assetId = job?.files[0]?.assetId ?? '';
  for await (const { assetId: first, status, metadata } of client.watch(SCENE)) {
    expect([first, status, metadata]).toEqual([assetId, 'ready', { language: 'en' }]);
    break;
  }
});

test('a plan names lanes and files, and keeps nothing', async () => {
  const scene = { ...SCENE, scene: 'planned' };
  const files = [{ assetType: 'source_code', filename: 'a.py', origin: { kind: 'inline', text: 'pass' } }] as const;
  const { jobs } = await client.dryRun({ ...scene, files });
  expect(jobs).toEqual([{ lane: 'small', size: 4, files: [{ filename: 'a.py' }] }]);
  expect((await client.listAssets(scene, { history: true })).assets).toEqual([]);
});

test('a folder whose upload was cut off by a killed API is there once after the next', async () => {
  const scene = { ...SCENE, scene: 'folder' };
  const folder = join(dir, 'renders');
  await mkdir(folder);
  for (let i = 0; i < 30; i++) await writeFile(join(folder, `${i}.py`), `print(${i})\n`.repeat(i === 0 ? 200_000 : 1));
  const env = { XDG_STATE_HOME: join(dir, 'state') };
  const impatient = createClient({ apiUrl: proxy.url, key: stack.agentKey, retryForMs: 0 });
  for (const route of ['/v1/uploads', '/v1/uploads/files']) proxy.loseAnswer(route);
  const first = await impatient.uploadDir(folder, { ...scene, env });
  expect(first.closed).toMatchObject({ code: 'UNREACHABLE' });
  process.kill(await stack.pid('api'), 'SIGKILL');
  const { files } = await client.uploadDir(folder, { ...scene, env });
  expect(files.filter(({ status, already }) => status === 'ready' && already)).toHaveLength(30);
  const { assets } = await client.listAssets(scene, { history: true });
  expect(assets.map(({ version }) => version)).toEqual(Array.from({ length: 30 }, (_, i) => 30 - i));
});
