import { afterEach, beforeEach, expect, test } from 'vitest';
import { type SpawnedCli, spawnedCli } from '#test/spawned-cli.ts';

let cli: SpawnedCli;
beforeEach(async () => {
  cli = await spawnedCli();
});
afterEach(() => cli.close());

const QUEUES = { small: { waiting: 40, active: 0, delayed: 8, completed: 1_200, failed: 3 } };
const STATUS = {
  ...{ ready: true, degraded: ['store'], missing: [], queues: QUEUES, statusOutbox: 12 },
  breakers: [{ dependency: 'store', process: 'worker 7@render-2', since: 1_795_176_428_000 }],
  scrub: { checked: 9_200, bytes: 1_204_000_000, missing: 0, different: 1, held: 0, passes: 2 },
};
const REPORT = {
  ...{
    jobId: 'r-1',
    state: 'done',
    prefix: '',
    repair: true,
    force: false,
    requestedBy: 'schedule',
    requestedAt: 1,
    scanned: {},
  },
  ...{
    finishedAt: 1_795_176_000_000,
    classes: { 'orphan-object': { found: 4, repaired: {}, failed: 0, held: 0, examples: [] } },
  },
};
const forbidden = { code: 'FORBIDDEN', message: 'It takes the scope admin.', retryable: false, nextAction: 'Ask.' };

test('shows parts, breakers with their process, lanes and what waits', async () => {
  cli.api.answerOnce('/v1/admin/status', 200, {}, STATUS);
  cli.api.answerOnce('/v1/admin/reconcile', 200, {}, REPORT);
  const { code, stdout } = await cli.reelay(['status']);
  expect(code).toBe(0);
  expect(stdout).toBe(`PART    STATE
API     ready  degraded: work waits
Redis   ok
worker  ok
store   away   refused at once by worker 7@render-2 since 2026-11-20T12:07:08.000Z
Convex  ok

LANE   WAITING  ACTIVE  DELAYED  COMPLETED  FAILED
small  40       0       8        1200       3

dead letters                   3                        reelay dead-letters
statuses that wait for Convex  12
last reconciliation            done, 4 findings         2026-11-20T12:00:00.000Z
scrub                          9200 objects read again  1 unfit
`);
});

test('ends with 3 when nothing is served, and is one document with --json', async () => {
  cli.api.answerOnce('/v1/admin/status', 200, {}, { ...STATUS, ready: false, missing: ['worker'] });
  cli.api.answerOnce('/v1/admin/reconcile', 404, {}, { error: { ...forbidden, code: 'NOT_FOUND' } });
  const { code, stdout } = await cli.reelay(['status', '--json']);
  expect(code).toBe(3);
  expect(JSON.parse(stdout)).toEqual({ ...STATUS, ready: false, missing: ['worker'] });
});

test('shows a key without the scope what everybody may see', async () => {
  cli.api.answerOnce('/v1/admin/status', 403, {}, { error: forbidden });
  cli.api.answerOnce('/health/ready', 503, {}, { ready: false, missing: ['queue', 'worker'] });
  const { code, stdout, stderr } = await cli.reelay(['status']);
  expect([code, stdout]).toEqual([
    3,
    'PART    STATE\nAPI     not ready\nRedis   away\nworker  away\nstore   ok\nConvex  ok\n',
  ]);
  expect(stderr).toBe('Breakers and queues are left out: It takes the scope admin.\n');
});

test("takes the admin's key of a stack, and says when no API answers", async () => {
  const env = { REELAY_API_URL: '', REELAY_KEY: '', REELAY_DATA: '.' };
  const file = { apiUrl: cli.api.url, agentKey: 'rk_agent', adminKey: cli.api.key };
  await cli.write('credentials.json', JSON.stringify(file));
  cli.api.answerOnce('/v1/admin/status', 200, {}, STATUS);
  cli.api.answerOnce('/v1/admin/reconcile', 200, {}, REPORT);
  expect((await cli.reelay(['status'], env)).stdout).toContain('worker 7@render-2');
  await cli.api.close();
  const { code, stderr } = await cli.reelay(['status'], env);
  expect([code, stderr]).toEqual([3, expect.stringContaining('UNREACHABLE')]);
});
