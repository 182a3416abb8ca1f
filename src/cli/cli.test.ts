import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SCENE, type SpawnedCli, spawnedCli } from '#test/spawned-cli.ts';

let cli: SpawnedCli;
let { api, reelay, write } = {} as SpawnedCli;

beforeEach(async () => {
  cli = await spawnedCli();
  ({ api, reelay, write } = cli);
});
afterEach(() => cli.close());

test('watch follows a batch, a job and an asset to their ends', async () => {
  await write('clip.mp4', 'x');
  await write('corrupt.mp4', 'x');
  await reelay(['upload', '.', ...SCENE, '--no-wait']);
  const { batchId = '', assetId = '' } = api.received[0] ?? {};
  const batch = await reelay(['watch', batchId]);
  expect(batch.code).toBe(1);
  expect(batch.stdout).toContain(
    `${batchId} running: 0 of 2 ready, 0 failed\n${batchId} done: 1 of 2 ready, 1 failed\n`,
  );
  expect(batch.stdout).toContain(`STORE_REJECTED: ${api.received[1]?.assetId}: The store said no.`);
  const job = await reelay(['watch', `${batchId}-0`]);
  expect(job).toMatchObject({ code: 1, stdout: expect.stringContaining(`${batchId}-0 failed 100%, attempt 3 of 3\n`) });
  expect(await reelay(['watch', assetId])).toMatchObject({ code: 0, stdout: `${assetId} ready v1\n` });
  const document = await reelay(['watch', assetId, '--json']);
  expect(JSON.parse(document.stdout)).toMatchObject({ assetId, status: 'ready' });
  expect((await reelay(['watch', 'b_none'])).code).toBe(1);
  expect((await reelay(['watch', 'clip.mp4'])).code).toBe(2);
});

test('jobs lists the jobs of a state', async () => {
  await write('corrupt.mp4', 'x');
  await reelay(['upload', '.', ...SCENE, '--no-wait']);
  const jobId = `${api.received[0]?.batchId}-0`;
  const { code, stdout } = await reelay(['jobs', '--state', 'failed', '--project', 'demo', '--limit', '5']);
  expect(code).toBe(0);
  expect(api.requests.at(-1)).toBe('GET /v1/jobs?state=failed&project=demo&limit=5');
  expect(stdout).toContain('  LANE   DONE  ATTEMPTS  FILES\n');
  expect(stdout).toContain(`${jobId}  demo     small  100%  3 of 3    corrupt.mp4\n`);
  expect(stdout).toContain('STORE_REJECTED');
  const document = await reelay(['jobs', '--state', 'failed', '--json']);
  expect(JSON.parse(document.stdout)).toMatchObject({ jobs: [{ jobId, state: 'failed' }] });
  expect((await reelay(['jobs'])).stdout).toBe('There is no active job.\n');
});

test('jobs cancel stops each job it can', async () => {
  const details = { code: 'CONFLICT', message: 'It is committed.', retryable: false, nextAction: 'Delete it.' };
  api.answerOnce('/v1/jobs/b_1-0', 409, {}, { error: details });
  const { code, stdout, stderr } = await reelay(['jobs', 'cancel', 'b_1-0', 'b_2-0']);
  expect([code, stdout]).toEqual([1, 'b_2-0 cancelled\n']);
  expect(stderr).toBe('b_1-0\n  CONFLICT: It is committed.\n    Delete it.\n');
  expect(api.requests).toEqual(['DELETE /v1/jobs/b_1-0', 'DELETE /v1/jobs/b_2-0']);
  const document = await reelay(['jobs', 'cancel', 'b_2-0', '--json']);
  expect(JSON.parse(document.stdout)).toEqual({ cancelled: ['b_2-0'], failed: [] });
  expect((await reelay(['jobs', 'cancel'])).stderr).toContain('Usage: reelay jobs cancel');
  const help = (await reelay(['jobs', 'cancel', '--help'])).stdout;
  expect([help.includes('--key'), help.includes('--state')]).toEqual([true, false]);
});

test('url prints a line for each asset that has one', async () => {
  await write('a.mp4', 'x');
  await write('b.mp4', 'x');
  await reelay(['upload', '.', ...SCENE, '--no-wait']);
  const [a = '', b = ''] = api.received.map(({ assetId }) => assetId);
  const { code, stdout, stderr } = await reelay(['url', b, 'a_none', a, '--download', '--public']);
  expect(code).toBe(1);
  const query = '?download=1&type=public';
  expect(stdout).toBe(`https://cdn.example/b.mp4${query}\nhttps://cdn.example/a.mp4${query}\n`);
  expect(stderr).toContain('a_none\n  NOT_FOUND: There is no such thing.');
});

describe('credentials', () => {
  const none = { REELAY_API_URL: '', REELAY_KEY: '' };

  test('come from credentials.json of the stack, which only the stack is sent', async () => {
    const file = { apiUrl: api.url, agentKey: api.key };
    await write('.reelay/credentials.json', JSON.stringify(file));
    expect((await reelay(['jobs'], none)).code).toBe(0);
    await write('elsewhere/credentials.json', JSON.stringify({ ...file, agentKey: 'rk_wrong' }));
    expect((await reelay(['jobs'], { ...none, REELAY_DATA: 'elsewhere' })).code).toBe(4);
    const foreign = await reelay(['jobs', '--api-url', 'https://reelay.example'], none);
    expect(foreign.code).toBe(2);
    expect(foreign.stderr).toContain('is for http://127.0.0.1:');
    const noScheme = await reelay(['jobs', '--api-url', 'localhost:3000'], none);
    expect(noScheme.stderr).toContain('The API URL localhost:3000 is not an http or https URL.');
  });

  test('are asked for in one sentence when there are none', async () => {
    const { code, stderr } = await reelay(['jobs'], none);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^error: There is no \.reelay\/credentials\.json of a running stack: give --api-url and --key/,
    );
  });
});

test('mistakes of usage print the usage and a sentence; help and version go to stdout', async () => {
  const unknown = await reelay(['uplaod']);
  expect(unknown).toMatchObject({ code: 2, stdout: '' });
  expect(unknown.stderr).toContain("unknown command 'uplaod'");
  expect(unknown.stderr).toContain('Usage: reelay [options] [command]');
  const concurrency = await reelay(['upload', '.', ...SCENE, '--concurrency', '0']);
  expect(concurrency.code).toBe(2);
  expect(concurrency.stderr).toContain('It is a whole number from 1 to 32.\nUsage: reelay upload');
  expect(await reelay(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  const help = await reelay(['upload', '--help']);
  expect(help).toMatchObject({ code: 0, stderr: '' });
  expect(help.stdout).toContain('--no-wait');
  expect(help.stdout).toContain('\n  video_chunk  .mp4 .mov .webm\n');
});
