import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClient } from '#client/node.ts';
import { runExample } from '#test/examples/run.ts';
import { type LossyProxy, startLossyProxy } from '#test/lossy-proxy.ts';
import { type Stack, startStack } from '#test/stack.ts';

const SCENE = { project: 'demo', session: 'python', scene: 'intro' } as const;
const UPLOAD = Object.entries(SCENE).flatMap(([name, id]) => [`--${name}`, id]);

let stack: Stack;
let proxy: LossyProxy;
let dir: string;

beforeAll(async () => {
  stack = await startStack();
  proxy = await startLossyProxy(stack.apiUrl);
  dir = await mkdtemp(join(tmpdir(), 'reelay-python-'));
});
afterAll(async () => {
  await proxy.close();
  await stack.remove();
  await rm(dir, { recursive: true });
});

const agent = (args: readonly string[], own: NodeJS.ProcessEnv = {}) =>
  runExample('python_agent/agent.py', args, { REELAY_API_URL: proxy.url, REELAY_KEY: stack.agentKey, ...own });
async function write(name: string, content: string): Promise<string> {
  await writeFile(join(dir, name), content);
  return join(dir, name);
}
const assets = async () => {
  const client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
  return (await client.listAssets(SCENE, { history: true })).assets;
};

describe('the agent in Python', () => {
  test('uploads once though the answer is lost, waits and downloads', async () => {
    const path = await write('scène "1".vtt', 'WEBVTT');
    proxy.loseAnswer('/v1/uploads/files');
    const metadata = ['--metadata', '{"language":"fr"}'];
    const { code, output } = await agent(['upload', path, ...UPLOAD, '--type', 'subtitle', ...metadata]);
    expect([code, output]).toEqual([0, expect.stringContaining('(duplicate)')]);
    const [asset, ...others] = await assets();
    expect(others).toEqual([]);
    expect(asset).toMatchObject({ status: 'ready', version: 1, metadata: { language: 'fr' } });
    expect(output).toContain(asset?.assetId);
    expect((await agent(['wait', asset?.batchId ?? ''])).code).toBe(0);
    expect((await agent(['download', asset?.assetId ?? '', join(dir, 'copy')])).code).toBe(0);
    expect(await readFile(join(dir, 'copy'), 'utf8')).toBe('WEBVTT');
  });

  test('is one upload under one key, also after a start anew', async () => {
    const path = await write('en.vtt', 'WEBVTT en');
    const upload = ['upload', path, ...UPLOAD, '--type', 'subtitle', '--key', 'subtitle-en'];
    expect((await agent(upload)).output).toContain('(created)');
    expect((await agent(upload)).output).toContain('(duplicate)');
    await writeFile(path, 'WEBVTT other');
    const other = await agent(upload);
    expect([other.code, other.output]).toEqual([1, expect.stringContaining('IDEMPOTENCY_MISMATCH')]);
    expect((await assets()).map(({ version }) => version)).toEqual([2, 1]);
  });

  test('waits for an API that was killed, and gives up on one that stays away', async () => {
    const path = await write('de.vtt', 'WEBVTT de');
    process.kill(await stack.pid('api'), 'SIGKILL');
    const upload = ['upload', path, ...UPLOAD, '--type', 'subtitle'];
    expect((await agent(upload)).code).toBe(0);
    proxy.takeAway(() => true);
    const away = await agent(upload, { PATIENCE_SECONDS: '2' });
    proxy.takeAway(() => false);
    expect([away.code, away.output]).toEqual([
      75,
      expect.stringMatching(/trying again in 1\.\d s\n.*METADATA_UNAVAILABLE/s),
    ]);
    expect(await assets()).toHaveLength(3);
  });

  test('says what the API refused and what to do', async () => {
    const path = await write('de.vtt', 'WEBVTT de');
    const { code, output } = await agent([
      'upload',
      path,
      '--project',
      'demo',
      '--session',
      's1',
      '--type',
      'subtitle',
    ]);
    expect([code, output]).toEqual([1, expect.stringMatching(/^VALIDATION_FAILED: .*\n$/)]);
  });
});
