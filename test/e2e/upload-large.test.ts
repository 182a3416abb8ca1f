import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClient } from '#client/node.ts';
import { type StoreProxy, startProxy } from '#test/rgw/proxy.ts';
import { type Stack, startStack } from '#test/stack.ts';
import { until } from '#test/until.ts';

const MAIN = resolve(import.meta.dirname, '../../src/cli/main.ts');
const PART = 8 * 2 ** 20;
/** Ten parts, the last one short. */
const FILM = randomBytes(9 * PART + 1_000);
const THERE = 5;

let stack: Stack;
let proxy: StoreProxy;
let dir: string;
/** How many PUTs pass before others are held, and what lets these go. */
let passing = Number.POSITIVE_INFINITY;
let held: (() => void)[] = [];

beforeAll(async () => {
  stack = await startStack();
  proxy = await startProxy(stack.apiUrl, async ({ method }) => {
    if (method !== 'PUT' || passing-- > 0) return false;
    await new Promise<void>((resolve) => held.push(resolve));
    return true;
  });
  dir = await mkdtemp(join(tmpdir(), 'reelay-large-'));
  await mkdir(join(dir, 'films'));
  await writeFile(join(dir, 'films/film.mp4'), FILM);
});
afterAll(async () => {
  for (const release of held) release();
  await proxy?.close();
  await stack?.remove();
  await rm(dir, { recursive: true, force: true });
});

/** The command as it is typed; its every byte goes through the proxy. */
function reelay(what: string, scene: string) {
  const entity = ['--project', 'demo', '--session', 'large', '--scene', scene];
  const child = spawn(process.execPath, [MAIN, 'upload', what, ...entity], {
    cwd: dir,
    env: { PATH: process.env.PATH, XDG_STATE_HOME: dir, REELAY_API_URL: proxy.endpoint, REELAY_KEY: stack.agentKey },
  });
  const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]);
  return { child, ended: ended.then(([[code], stdout, stderr]) => ({ code: code as number, stdout, stderr })) };
}

/** Sizes of the parts sent since the last call. */
function partsSent(): number[] {
  const puts = proxy.seen.splice(0).filter(({ method }) => method === 'PUT');
  return puts.map(({ bytes }) => bytes).filter((bytes) => bytes > 0);
}

test.each([
  ['a file', 'films/film.mp4'],
  ['a folder', 'films'],
])('%s whose upload was killed goes on with the parts that are missing', async (_, what) => {
  const scene = { project: 'demo', session: 'large', scene: what };
  [passing, held] = [THERE, []];
  partsSent();
  const first = reelay(what, what);
  await until(() => held.length === 4, { within: 60_000, what: 'the next parts to be on their way' });
  first.child.kill('SIGKILL');
  await first.ended;
  expect(partsSent()).toEqual(Array(THERE).fill(PART));

  passing = Number.POSITIVE_INFINITY;
  const { code, stdout, stderr } = await reelay(what, what).ended;
  expect([code, stderr]).toEqual([0, expect.stringContaining('film.mp4 goes on: 40 of its 72 MiB are there\n')]);
  expect(stdout).toMatch(/1 file: 1 ready\n$/);
  expect(partsSent().toSorted()).toEqual([1_000, ...Array(9 - THERE).fill(PART)]);
  const client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
  const { assets } = await client.listAssets(scene, { history: true });
  const checksum = createHash('sha256').update(FILM).digest('hex');
  expect(assets).toMatchObject([{ status: 'ready', size: FILM.length, checksum }]);

  const again = await reelay(what, what).ended;
  expect(again.stdout).toContain(what === 'films' ? '1 of them were already there' : '1 file: 1 ready');
  expect(partsSent()).toHaveLength(what === 'films' ? 0 : 10);
});
