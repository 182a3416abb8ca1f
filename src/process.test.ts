import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateSigningKey } from '#metadata/service-token.ts';
import { freePort } from '#test/free-port.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';

const ROOT = join(import.meta.dirname, '..');
const PROCESSES = { api: 'src/api/main.ts', worker: 'src/processors/main.ts' };

describe('a process whose port is taken', () => {
  let redis: TestRedis;
  let holder: Server;
  let dataDir: string;
  let taken: string;

  beforeAll(async () => {
    redis = await startRedis();
    dataDir = await mkdtemp(join(tmpdir(), 'reelay-process-'));
    taken = String(await freePort());
    holder = createServer().listen(Number(taken), '127.0.0.1');
    await once(holder, 'listening');
  });

  afterAll(async () => {
    holder.close();
    await redis.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it.each([
    ['api', 'PORT'],
    ['worker', 'METRICS_PORT'],
  ] as const)('%s: says so in a sentence that names %s', (name, variable) => {
    const { status, stderr } = start([PROCESSES[name]], {
      PORT: '0',
      METRICS_PORT: '0',
      [variable]: taken,
      REDIS_URL: redis.url,
      REELAY_DATA: dataDir,
      REELAY_SIGNING_KEY: generateSigningKey(),
    });
    expect(stderr).toBe(
      `It could not start: port ${taken} is taken; end the program that has it, or name another in ${variable}.\n`,
    );
    expect(status).toBe(1);
  });
});

describe('a Node that runs no TypeScript', () => {
  const CHECK = ['--import', './src/require-node.mjs'];

  it.each([...Object.values(PROCESSES), 'src/cli/main.ts'])('gets one sentence before %s', (entry) => {
    const { status, stderr } = start(['--no-experimental-strip-types', ...CHECK, entry]);
    expect(stderr).toMatch(/^Reelay needs Node 22\.18 or newer, .* and this is [\d.]+: .*\.\n$/);
    expect(status).toBe(1);
  });

  it('is checked by every npm script that starts one of ours', () => {
    const { scripts, engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    for (const name of ['api', 'worker', 'cli']) expect(scripts[name]).toContain(`${CHECK.join(' ')} src/`);
    expect(engines.node).toBe('>=22.18');
  });

  it('is not ours', () => {
    expect(start([...CHECK, 'src/cli/main.ts', '--version'])).toMatchObject({ status: 0, stderr: '' });
  });
});

function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): { status: number | null; stderr: string } {
  const { PATH } = process.env;
  return spawnSync(process.execPath, args, { cwd: ROOT, env: { PATH, ...env }, encoding: 'utf8', timeout: 25_000 });
}
