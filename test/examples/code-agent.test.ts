import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClient, type NodeClient } from '#client/node.ts';
import { type LossyProxy, startLossyProxy } from '#test/lossy-proxy.ts';
import { type Stack, startStack } from '#test/stack.ts';
import { runExample } from './run.ts';

const SCENE = { project: 'demo', session: 'code', scene: 'intro' } as const;

let stack: Stack;
let proxy: LossyProxy;
let cache: string;
let client: NodeClient;

beforeAll(async () => {
  stack = await startStack();
  proxy = await startLossyProxy(stack.apiUrl);
  cache = await mkdtemp(join(tmpdir(), 'reelay-cache-'));
  client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
});
afterAll(async () => {
  await proxy.close();
  await stack.remove();
  await rm(cache, { recursive: true });
});

const agent = (patience: number) =>
  runExample('code-agent/agent.ts', Object.values(SCENE), {
    ...{ REELAY_API_URL: proxy.url, REELAY_KEY: stack.agentKey, CACHE: cache, PATIENCE_SECONDS: String(patience) },
  });
const versions = async () =>
  (await client.listAssets(SCENE, { assetType: 'source_code', history: true })).assets.map(({ version }) => version);
async function currentCode(): Promise<string> {
  const [current] = (await client.listAssets(SCENE, { assetType: 'source_code' })).assets;
  return text(await client.download(current?.assetId ?? ''));
}

test('without a scene it says what it takes', async () => {
  const { code, output } = await runExample('code-agent/agent.ts', ['demo'], {});
  expect([code, output]).toEqual([2, expect.stringContaining('Usage: ')]);
});

test('takes version n and posts n + 1', async () => {
  await client.uploadFile({
    ...{ ...SCENE, assetType: 'source_code', filename: 'intro.py', bytes: new TextEncoder().encode('draw()\n') },
  });
  await expect.poll(versions, { timeout: 20_000 }).toEqual([1]);
  const { code, output } = await agent(30);
  expect([code, output]).toEqual([0, expect.stringMatching(/took version 1\n.*\nposted version 2\n/)]);
  expect(await currentCode()).toBe('draw()\n# edit of version 1\n');
});

test('works from its cached copy while the current version cannot be downloaded', async () => {
  proxy.takeAway((path) => path.startsWith('/v1/projects/'));
  const { code, output } = await agent(1);
  proxy.takeAway(() => false);
  expect([code, output]).toEqual([0, expect.stringContaining('Working from the cached version 2.')]);
  expect(await versions()).toEqual([3, 2, 1]);
  expect(await currentCode()).toBe('draw()\n# edit of version 1\n# edit of version 2\n');
});

test('posts an edit once, though its answer was lost and the agent started again', async () => {
  proxy.loseAnswer('/v1/uploads/files');
  const first = await agent(0);
  expect([first.code, first.output]).toEqual([75, expect.stringContaining('UNREACHABLE')]);
  const second = await agent(30);
  expect([second.code, second.output]).toEqual([0, expect.stringContaining('(duplicate)')]);
  expect(await versions()).toEqual([4, 3, 2, 1]);
});

test('an edit made while the API is away is posted when it is back', async () => {
  await stack.stop();
  expect((await agent(1)).code).toBe(75);
  await stack.start();
  expect((await agent(30)).code).toBe(0);
  expect(await versions()).toEqual([5, 4, 3, 2, 1]);
  process.kill(await stack.pid('api'), 'SIGKILL');
  expect((await agent(30)).code).toBe(0);
  expect(await versions()).toEqual([6, 5, 4, 3, 2, 1]);
});
