import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '#test/free-port.ts';
import { until } from '#test/until.ts';
import type { Credentials } from './credentials.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
const PARTS = ['redis', 'convex', 'api', 'worker'] as const;
/** A start compiles nothing, but waits its turn on a busy machine. */
const SOON = { within: 60_000 };
const VARIABLES = ['PORT', 'CONVEX_PORT', 'REDIS_PORT', 'METRICS_PORT'] as const;

let dataDir: string;
let ports: number[];
const started: ChildProcess[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'reelay-up-'));
  ports = await Promise.all(VARIABLES.map(freePort));
});

afterEach(async () => {
  for (const stack of started.splice(0)) await end(stack, 'SIGTERM');
  await rm(dataDir, { recursive: true, force: true });
});

describe('npm run up', { timeout: 120_000 }, () => {
  it('keeps its promises from the first start over crashes to a second start', async () => {
    const first = await up();
    expect(first.text()).toContain(`http://127.0.0.1:${ports[0]}/admin/queues`);

    const credentials = await readCredentials();
    expect(await modeOf('credentials.json')).toBe(0o600);
    expect(await modeOf('signing-key.pem')).toBe(0o600);
    expect(await modeOf('.')).toBe(0o700);

    const assetId = await upload(credentials);
    await untilReady(credentials, assetId);

    const killed = await Promise.all(PARTS.map(async (name) => [name, await pidOf(name)] as const));
    for (const [, pid] of killed) process.kill(pid, 'SIGKILL');
    for (const [name, pid] of killed) {
      await until(() => first.text().includes(`${name} serves again`), { ...SOON, what: `${name} to serve again` });
      expect(await pidOf(name)).not.toBe(pid);
    }
    expect(first.text()).toContain('redis ended (signal SIGKILL); starting it again in 0.25 s');
    await untilReady(credentials, assetId);

    expect(await end(first.process, 'SIGTERM')).toEqual([0, null]);
    expect(first.text()).toMatch(/\nreelay: stopped\n$/);
    expect(await readdir(join(dataDir, 'run'))).toEqual([]);

    await up();
    expect(await readCredentials()).toEqual(credentials);
    expect(await statusOf(credentials, assetId)).toBe('ready');
  });

  it('refuses a data folder that is in use, and starts over what a killed supervisor left', async () => {
    const first = await up();
    const second = run();
    expect(await once(second.process, 'exit')).toEqual([1, null]);
    expect(second.text()).toContain(`The stack already runs on ${dataDir} (process ${first.process.pid})`);

    const left = await Promise.all(PARTS.map(pidOf));
    await end(first.process, 'SIGKILL');
    await up();
    await until(() => !left.some(isAlive), { ...SOON, what: 'what was left to be gone' });
  });

  it('ends its children when it is killed', async () => {
    const { process: supervisor } = await up();
    const left = await Promise.all(PARTS.map(pidOf));
    await end(supervisor, 'SIGKILL');
    await until(() => !left.some(isAlive), { ...SOON, what: 'the children to end' });
  });

  it('ends everything at once when it is told to stop a second time', async () => {
    const { process: supervisor, text } = await up();
    process.kill(await pidOf('worker'), 'SIGSTOP');
    const exited = once(supervisor, 'exit');
    const isEnding = () => supervisor.kill('SIGINT') && text().includes('ending everything now');
    await until(isEnding, { ...SOON, what: 'the second signal to be taken' });
    expect(await exited).toEqual([0, null]);
    expect(await readdir(join(dataDir, 'run'))).toEqual([]);
  });

  it('names every port that is taken, and its variable', async () => {
    const holders = await Promise.all(ports.map((port) => listen(port)));
    try {
      const { process: stack, text } = run();
      expect(await once(stack, 'exit')).toEqual([1, null]);
      expect(text()).toMatch(/^reelay: The stack cannot have its ports:\n/);
      for (const [index, variable] of VARIABLES.entries()) {
        expect(text()).toMatch(new RegExp(`\\n {2}Port ${ports[index]} is taken: .* another in ${variable}\\.`));
      }
    } finally {
      for (const holder of holders) holder.close();
    }
  });

  it('names the variables that give one port to two parts', async () => {
    const { process: stack, text } = run({ PORT: String(ports[1]) });
    expect(await once(stack, 'exit')).toEqual([1, null]);
    expect(text()).toBe(
      `reelay: The stack cannot have its ports:\n  CONVEX_PORT and PORT are both ${ports[1]}: give the API another.\n`,
    );
  });

  it('says what is wrong with the environment, and exits with EX_CONFIG', async () => {
    const { process: stack, text } = run({ LOG_LEVEL: 'loud', S3_SSE: 'ROT13' });
    expect(await once(stack, 'exit')).toEqual([78, null]);
    expect(text()).toMatch(/reelay: The environment is not usable:\n {2}LOG_LEVEL: .*\n {2}S3_SSE: /);
    expect(text()).not.toContain(' at ');
  });

  it('shows the end of the log of a part that cannot start', async () => {
    const { process: stack, text } = run({ PATH: dirname(process.execPath) });
    expect(await once(stack, 'exit')).toEqual([1, null]);
    expect(text()).toMatch(
      /redis ended before it served \(exit code 127\)\.\nThe end of .*redis\.log:\n.*redis-server/,
    );
  });
});

interface Stack {
  readonly process: ChildProcess;
  /** All it has said so far. */
  readonly text: () => string;
}

function run(env: Record<string, string> = {}): Stack {
  const { REDIS_URL, CONVEX_URL, S3_BUCKET, ...inherited } = process.env;
  const named = Object.fromEntries(VARIABLES.map((name, index) => [name, String(ports[index])]));
  const stack = spawn(process.execPath, [MAIN], {
    env: { ...inherited, ...named, REELAY_DATA: dataDir, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(stack);
  let text = '';
  for (const stream of [stack.stdout, stack.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
  }
  return { process: stack, text: () => text };
}

async function up(): Promise<Stack> {
  const stack = run();
  const serves = () => {
    if (stack.process.exitCode !== null) throw new Error(stack.text());
    return stack.text().includes('Reelay serves');
  };
  await until(serves, { ...SOON, what: 'the stack to serve' });
  return stack;
}

async function end(stack: ChildProcess, signal: NodeJS.Signals): Promise<unknown> {
  if (stack.exitCode !== null || stack.signalCode !== null) return undefined;
  const exited = once(stack, 'exit');
  stack.kill(signal);
  return exited;
}

async function upload({ apiUrl, agentKey }: Credentials): Promise<string> {
  const form = new FormData();
  for (const [name, value] of Object.entries({ project: 'demo', session: 's1', scene: 'one', assetType: 'subtitle' })) {
    form.append(name, value);
  }
  form.append('file', new Blob(['WEBVTT\n']), 'one.vtt');
  const response = await fetch(`${apiUrl}/v1/uploads/files`, { method: 'POST', body: form, headers: bearer(agentKey) });
  const answer = (await response.json()) as { jobs: { files: { assetId: string }[] }[] };
  expect(response.status, JSON.stringify(answer)).toBe(202);
  return answer.jobs[0]?.files[0]?.assetId ?? '';
}

async function statusOf({ apiUrl, agentKey }: Credentials, assetId: string): Promise<string | undefined> {
  const response = await fetch(`${apiUrl}/v1/assets/${assetId}`, { headers: bearer(agentKey) });
  return ((await response.json()) as { status?: string }).status;
}

async function untilReady(credentials: Credentials, assetId: string): Promise<void> {
  const isReady = async () => (await statusOf(credentials, assetId)) === 'ready';
  await until(isReady, { ...SOON, what: 'the asset to be ready' });
}

function bearer(key: string): Record<string, string> {
  return { authorization: `Bearer ${key}` };
}

async function readCredentials(): Promise<Credentials> {
  return JSON.parse(await readFile(join(dataDir, 'credentials.json'), 'utf8'));
}

async function modeOf(name: string): Promise<number> {
  return (await stat(join(dataDir, name))).mode & 0o777;
}

async function pidOf(name: (typeof PARTS)[number]): Promise<number> {
  return Number(await readFile(join(dataDir, 'run', `${name}.pid`), 'utf8'));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function listen(port: number): Promise<Server> {
  const server = createServer();
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)));
}
