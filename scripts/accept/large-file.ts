import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createClient } from '#client/client.ts';
import { startRgw } from '#test/rgw.ts';
import { type Stack, startStack } from '#test/stack.ts';
import { atMost, type Chapter, equal, type Figure, peakResident, timed } from './figures.ts';

const run = promisify(execFile);
const ROOT = new URL('../..', import.meta.url).pathname;
const GIB = 1024 ** 3;

/** 2 GiB by the command line, to disk. */
export const largeDisk: Chapter = {
  name: 'large-disk',
  command: 'npm run cli -- upload film.mp4 (2 GiB)',
  run: () => uploadFilm({}),
};

/** 2 GiB by the command line, to a real S3 (Ceph RGW on bluestore). */
export const largeS3: Chapter = {
  name: 'large-s3',
  command: 'S3_ENDPOINT_URL=… S3_BUCKET=… npm run cli -- upload film.mp4 (2 GiB)',
  async run() {
    const rgw = await startRgw({ objectStore: 'bluestore', bytes: 12 * GIB });
    try {
      return await uploadFilm(rgw.env);
    } finally {
      await rgw.stop();
    }
  },
};

async function uploadFilm(env: NodeJS.ProcessEnv): Promise<Figure[]> {
  const film = join(tmpdir(), `reelay-film-${process.pid}.mp4`);
  await run('dd', ['if=/dev/urandom', `of=${film}`, 'bs=4M', 'count=512', 'status=none']);
  const stack = await startStack(env);
  try {
    const { seconds } = await timed(() => upload(stack, film));
    const client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
    const { assets } = await client.listAssets({ project: 'demo', session: 'film', scene: 'film' });
    const { stdout } = await run('sha256sum', [film]);
    return [
      equal('checksum in Convex is sha256sum’s', String(assets[0]?.checksum === stdout.split(' ')[0]), 'true'),
      equal('size', assets[0]?.size ?? 0, 2 * GIB),
      atMost('API, most resident', await peakResident(await stack.pid('api')), 300, 'MB'),
      atMost('worker, most resident', await peakResident(await stack.pid('worker')), 300, 'MB'),
      { what: 'from command to ready', figure: `${seconds.toFixed(1)} s`, goal: '(none)', met: true },
    ];
  } finally {
    await stack.remove();
    await rm(film, { force: true });
  }
}

async function upload(stack: Stack, film: string): Promise<void> {
  const args = ['upload', film, '--project', 'demo', '--session', 'film', '--scene', 'film'];
  const child = spawn(process.execPath, [join(ROOT, 'src/cli/main.ts'), ...args], {
    env: stack.env,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`reelay upload ended with ${code}.`);
}
