import { ConvexHttpClient } from 'convex/browser';
import { expect, test } from 'vitest';
import { query, startEngine, temporaryFolder } from '#local/convex/testing/engines.ts';

const KEY = 'the key of this test';
const env = { CONVEX_ADMIN_KEY: KEY, FIXTURE_SETTING: 'of the process' };
type Changes = { name: string; value: string | null }[];

async function set(url: string, changes: Changes, authorization = `Convex ${KEY}`) {
  const body = JSON.stringify({ changes });
  const headers = { authorization, 'content-type': 'application/json' };
  const answer = await fetch(`${url}/api/update_environment_variables`, { method: 'POST', headers, body });
  return { status: answer.status, text: await answer.text() };
}
const seen = (url: string) => new ConvexHttpClient(url).query(query('notes/whoami:setting'), {});

/** What `npx convex env list` asks, by the query it asks with. */
async function list(url: string, name?: string) {
  const body = JSON.stringify({
    path: `_system/cli/queryEnvironmentVariables${name === undefined ? '' : ':get'}`,
    args: name === undefined ? {} : { name },
  });
  const answer = await fetch(`${url}/api/query`, { method: 'POST', body, headers: { authorization: `Convex ${KEY}` } });
  return ((await answer.json()) as { value: unknown }).value;
}

test('a variable that is set counts at once, over that of the process, and after kill -9; removed it is gone', async () => {
  const data = await temporaryFolder();
  const first = await startEngine({ data, env });
  expect(await seen(first.url)).toBe('of the process');
  const changes: Changes = [
    { name: 'FIXTURE_SETTING', value: 'of the deployment' },
    { name: 'OTHER', value: 'x' },
  ];
  expect(await set(first.url, changes)).toEqual({ status: 200, text: '' });
  expect(await seen(first.url)).toBe('of the deployment');
  expect(await list(first.url)).toEqual(changes);
  expect(await list(first.url, 'OTHER')).toEqual({ name: 'OTHER', value: 'x' });
  await first.kill();

  const second = await startEngine({ data, env });
  expect(await seen(second.url)).toBe('of the deployment');
  expect(await set(second.url, [{ name: 'FIXTURE_SETTING', value: null }])).toMatchObject({ status: 200 });
  expect(await seen(second.url)).toBe('of the process');
  expect(await list(second.url)).toEqual([{ name: 'OTHER', value: 'x' }]);
});

test('functions read a variable where they load: auth.config.ts gets it at the next start', async () => {
  const data = await temporaryFolder();
  const first = await startEngine({ data, env });
  await set(first.url, [{ name: 'FIXTURE_JWKS', value: 'no address' }]);
  await first.stop();
  await expect(startEngine({ data, env })).rejects.toThrow('`jwks` is "no address"');
});

test('only admins set variables, and only good ones', async () => {
  const { url } = await startEngine({ env });
  const good: Changes = [{ name: 'FIXTURE_SETTING', value: 'x' }];
  expect((await set(url, good, 'Convex wrong')).status).toBe(401);
  const without = await fetch(`${url}/api/update_environment_variables`, { method: 'POST', body: '{"changes":[]}' });
  expect(without.status).toBe(403);
  for (const [changes, sentence] of [
    [[{ name: '1A', value: 'x' }], 'letters, digits and underscores'],
    [[{ name: 'A', value: 'x'.repeat(8_193) }], '8192 characters'],
    [[...good, { name: 'CONVEX_SITE_URL', value: 'x' }], 'CONVEX_SITE_URL is given by Convex and cannot be changed.'],
    [Array.from({ length: 1_001 }, (_, at) => ({ name: `V${at}`, value: '' })), 'There can be 1000'],
  ] as [Changes, string][]) {
    const { status, text } = await set(url, changes);
    expect([status, text]).toEqual([400, expect.stringContaining(sentence)]);
  }
  expect(await list(url)).toEqual([]);
  expect(await seen(url)).toBe('of the process');
});
