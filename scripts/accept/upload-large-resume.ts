import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createClient } from '#client/node.ts';
import { type StoreProxy, startProxy } from '#test/rgw/proxy.ts';
import { type Stack, startStack } from '#test/stack.ts';
import { until } from '#test/until.ts';
import { atLeast, atMost, type Chapter, equal, type Figure, timed } from './figures.ts';

const run = promisify(execFile);
const ROOT = new URL('../..', import.meta.url).pathname;
const SCENE = { project: 'demo', session: 'film', scene: 'resumed' } as const;
const MIB = 1024 ** 2;
const FILM = 1_024 * MIB;
const PART = 8 * MIB;
/** As the client sends at a time. */
const IN_FLIGHT = 4 * PART;

/** A large file, killed at half and typed again; every byte towards API and store is counted. */
export const uploadLargeResume: Chapter = {
  name: 'upload-large-resume',
  command: 'reelay upload film.mp4 (1 GiB), kill -9 at half, and again',
  async run() {
    const dir = await mkdtemp(join(tmpdir(), 'reelay-large-resume-'));
    const stack = await startStack();
    const proxy = await startProxy(stack.apiUrl);
    try {
      await run('dd', ['if=/dev/urandom', `of=${join(dir, 'film.mp4')}`, 'bs=4M', 'count=256', 'status=none']);
      return await interrupted({ dir, stack, proxy });
    } finally {
      await proxy.close();
      await stack.remove();
      await rm(dir, { recursive: true, force: true });
    }
  },
};

interface Scenario {
  readonly dir: string;
  readonly stack: Stack;
  readonly proxy: StoreProxy;
}

async function interrupted({ dir, stack, proxy }: Scenario): Promise<Figure[]> {
  const film = join(dir, 'film.mp4');
  const first = reelay(film, { dir, stack, proxy });
  await until(async () => sent(proxy) >= FILM / 2, { within: 300_000, every: 5, what: 'half of the film to be sent' });
  first.child.kill('SIGKILL');
  await first.ended;
  const before = sent(proxy);
  const { seconds, answer: code } = await timed(async () => reelay(film, { dir, stack, proxy }).ended);
  const both = sent(proxy);
  const client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
  const { assets } = await client.listAssets(SCENE, { history: true });
  const { stdout } = await run('sha256sum', [film]);
  return [
    atLeast('MiB sent in the first run', before / MIB, FILM / 2 / MIB, 'MiB'),
    { what: 'MiB sent in the second run', figure: ((both - before) / MIB).toFixed(1), goal: '(none)', met: true },
    atMost('of both, beyond the file', (both - FILM) / MIB, IN_FLIGHT / MIB + 1, 'MiB (parts in flight at the kill)'),
    equal('the second run ended with', code, 0),
    equal('assets', assets.length, 1),
    equal('checksum in Convex is sha256sum’s', String(assets[0]?.checksum === stdout.split(' ')[0]), 'true'),
    { what: 'seconds of the second run', figure: seconds.toFixed(1), goal: '(none)', met: true },
  ];
}

/** Bytes of all bodies so far. */
const sent = ({ seen }: StoreProxy) => seen.reduce((sum, { bytes }) => sum + bytes, 0);

function reelay(film: string, { dir, stack, proxy }: Scenario) {
  const entity = Object.entries(SCENE).flatMap(([option, id]) => [`--${option}`, id]);
  const child = spawn(process.execPath, [join(ROOT, 'src/cli/main.ts'), 'upload', film, ...entity], {
    env: { ...process.env, XDG_STATE_HOME: dir, REELAY_API_URL: proxy.endpoint, REELAY_KEY: stack.agentKey },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return { child, ended: once(child, 'exit').then(([code]) => Number(code)) };
}
