import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClient } from '#client/node.ts';
import { type LossyProxy, startLossyProxy } from '#test/lossy-proxy.ts';
import { type Stack, startStack } from '#test/stack.ts';
import { runExample, startExample } from './run.ts';

const AGENT = 'render-agent/agent.ts';

let stack: Stack;
let proxy: LossyProxy;
let outbox: string;

beforeAll(async () => {
  stack = await startStack();
  proxy = await startLossyProxy(stack.apiUrl);
  outbox = await mkdtemp(join(tmpdir(), 'reelay-outbox-'));
});
afterAll(async () => {
  await proxy.close();
  await stack.remove();
  await rm(outbox, { recursive: true });
});

const env = (own: NodeJS.ProcessEnv = {}) => ({
  ...{ REELAY_API_URL: proxy.url, REELAY_KEY: stack.agentKey, OUTBOX: outbox, PATIENCE_SECONDS: '30', ...own },
});
const clipsOf = async (scene: string) => {
  const client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
  const entity = { project: 'demo', session: 'renders', scene };
  return (await client.listAssets(entity, { history: true })).assets;
};

test.each([[[]], [['rendre']]])('the command line %j is answered with the usage', async (args) => {
  const { code, output } = await runExample(AGENT, args, env());
  expect([code, output]).toEqual([2, expect.stringContaining('Usage: ')]);
});

test('a clip is rendered and delivered with its metadata, once, though its answer is lost', async () => {
  proxy.loseAnswer('/v1/uploads/files');
  const { code, output } = await runExample(AGENT, ['render', 'one'], env());
  expect([code, output]).toEqual([0, expect.stringContaining('(duplicate)')]);
  expect(output).toMatch(/one\.mp4: \d+ bytes sent/);
  expect(await clipsOf('one')).toMatchObject([
    { status: 'ready', version: 1, contentType: 'video/mp4', metadata: { renderer: 'render-agent', title: 'one' } },
  ]);
  expect(await readdir(outbox)).toEqual([]);
});

test('an API that is killed and comes back is waited for', async () => {
  process.kill(await stack.pid('api'), 'SIGKILL');
  expect((await runExample(AGENT, ['render', 'two'], env())).code).toBe(0);
  expect(await clipsOf('two')).toMatchObject([{ status: 'ready', version: 1 }]);
});

test('what cannot be delivered stays in the outbox, also when the agent dies, and goes later', async () => {
  await stack.stop();
  const { code, output } = await runExample(AGENT, ['render', 'three'], env({ PATIENCE_SECONDS: '1' }));
  expect([code, output]).toEqual([75, expect.stringContaining('UNREACHABLE')]);
  expect(await readdir(outbox)).toHaveLength(2);
  const { child, ended } = startExample(AGENT, ['deliver'], env());
  child.stdout.on('data', (chunk: Buffer) => {
    if (chunk.includes('trying again')) child.kill('SIGKILL');
  });
  await ended;
  expect(await readdir(outbox)).toHaveLength(2);
  await stack.start();
  expect((await runExample(AGENT, ['deliver'], env())).code).toBe(0);
  expect(await clipsOf('three')).toMatchObject([{ status: 'ready', version: 1 }]);
  expect(await readdir(outbox)).toEqual([]);
});

test('what is refused is put aside for a person', async () => {
  const { code } = await runExample(AGENT, ['render', 'four'], env({ REELAY_KEY: 'rk_wrong' }));
  expect(code).toBe(1);
  expect((await readdir(outbox)).map((name) => name.split('.')[1]).sort()).toEqual(['mp4', 'refused']);
});
