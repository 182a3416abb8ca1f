import { Writable } from 'node:stream';
import { Worker } from 'bullmq';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startWorker } from '#processors/start.ts';
import { startApi, type TestApi } from '#test/api.ts';
import { until } from '#test/until.ts';
import { openWorkerParts, type WorkerParts } from '#test/worker-parts.ts';
import { run } from './program.ts';

const IDS = ['b_letters-0', 'b_letters-1', 'b_letters-2'] as const;

let api: TestApi;
let parts: WorkerParts;
let worker: { close(): Promise<void> };
let key: string;

beforeAll(async () => {
  api = await startApi();
  const beside = { server: api.redisServer, engine: api.engine, dir: api.root };
  parts = await openWorkerParts({ beside, env: { REDIS_PREFIX: 'test' } });
  worker = await startWorker(parts, { ...parts.config, lanes: ['maintenance'] });
  key = await api.key({ scopes: ['admin'] });
});
afterAll(async () => {
  await worker.close();
  await api.close();
});

/** Three jobs that have failed, two of them for the same reason. */
beforeEach(async () => {
  const { small } = api.producer.lanes;
  await small.obliterate();
  const fail = async ({ id = '' }: { id?: string | undefined }) => {
    throw new Error(id === IDS[2] ? 'STORE_FULL: There is no room.' : `ORIGIN_NOT_FOUND: The file /f/${id} is gone.`);
  };
  const failing = new Worker('small', fail, { connection: parts.redis, prefix: small.opts.prefix ?? '' });
  await small.addBulk(IDS.map((jobId) => ({ name: 'upload', data: {}, opts: { jobId } })));
  await until(async () => (await small.getFailedCount()) === IDS.length, { within: 10_000, what: 'the jobs to fail' });
  await failing.close();
});

async function reelay(...args: string[]) {
  const written = { stdout: '', stderr: '' };
  const into = (name: 'stdout' | 'stderr') =>
    new Writable({
      write(chunk, _encoding, done) {
        written[name] += chunk;
        done();
      },
    });
  const { signal } = new AbortController();
  const env = { REELAY_API_URL: api.url, REELAY_KEY: key };
  const code = await run(args, { env, cwd: '/', stdout: into('stdout'), stderr: into('stderr'), signal });
  return { code, ...written };
}
const fingerprints = async (): Promise<string[]> =>
  JSON.parse((await reelay('dead-letters', '--json')).stdout).groups.map(
    (group: { fingerprint: string }) => group.fingerprint,
  );
const stateOf = (jobId: string) => api.producer.lanes.small.getJobState(jobId);

describe('dead-letters', () => {
  it('shows groups as a table, with an example and what to do', async () => {
    const { code, stdout } = await reelay('dead-letters');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^FINGERPRINT +CODE +JOB +LANES +COUNT +SIZE +FIRST +LAST\n/);
    expect(stdout).toMatch(/^[\da-f]{12} +ORIGIN_NOT_FOUND +upload +small +2 /m);
    expect(stdout).toMatch(/\n[\da-f]{12} b_letters-\d\n {2}The file \/f\/b_letters-\d is gone\.\n {4}Check that/);
  });

  it('lists one group', async () => {
    const [group = ''] = await fingerprints();
    const { code, stdout } = await reelay('dead-letters', '--fingerprint', group, '--limit', '1');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^JOB +LANE +FAILED +ERROR\nb_letters-1 +small +\S+Z +The file .+\nThere are more: --limit\.\n$/,
    );
  });

  it('discards with a reason only, and what was chosen only', async () => {
    expect(await reelay('dead-letters', 'discard', '--all')).toMatchObject({ code: 2 });
    const [group = ''] = await fingerprints();
    const { code, stdout, stderr } = await reelay(
      'dead-letters',
      'discard',
      '--fingerprint',
      group,
      '--reason',
      'over',
    );
    expect([code, stdout, stderr]).toEqual([0, '2 dead letters discarded\n', 'discarding 2 dead letters\n']);
    expect([await stateOf(IDS[0]), await stateOf(IDS[2])]).toEqual(['unknown', 'failed']);
  });
});

describe('replay', () => {
  it('starts what was chosen again; again, there is nothing to do', async () => {
    const first = await reelay('replay', IDS[2], 'b_none-0', '--json');
    expect([first.code, JSON.parse(first.stdout)]).toMatchObject([0, { replayed: 1, skipped: 0, left: 0 }]);
    expect([await stateOf(IDS[2]), await stateOf(IDS[0])]).toEqual(['waiting', 'failed']);
    expect(await reelay('replay', IDS[2])).toEqual({
      ...{ code: 0, stdout: '0 dead letters replayed\n' },
      stderr: 'Nothing to do: what is named is no dead letter.\n',
    });
  });

  it('says what it would do, and does nothing', async () => {
    const { code, stdout } = await reelay('replay', '--all', '--dry-run');
    expect([code, stdout.split('\n').at(-2)]).toEqual([0, 'replay would be about 3 dead letters; nothing was done']);
    expect(await reelay('replay', '--older-than', '2h', '--dry-run')).toMatchObject({
      stdout: 'replay would be about 0 dead letters; nothing was done\n',
    });
    expect(await stateOf(IDS[0])).toBe('failed');
  });

  it('wants to know of what', async () => {
    for (const args of [[], ['--all', IDS[0]], ['--older-than', '2'], ['--all', '--per-second', '0']])
      expect((await reelay('replay', ...args)).code, args.join(' ')).toBe(2);
    expect((await reelay('replay', '--fingerprint', 'none')).code).toBe(1);
  });
});
