import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi, type TestApi } from '#test/api.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();

async function fieldsOf(lock: unknown): Promise<unknown> {
  const file = { assetType: 'source_code', filename: 'a.py', origin: { kind: 'inline', text: 'pass' } };
  const files = [file, { ...file, lock }];
  const response = await api.post('/v1/uploads', { project: 'demo', session: 's-1', scene: 'scene-1', files });
  expect(response.status).toBe(400);
  return ((await response.json()) as { error: { details: { fields: unknown } } }).error.details.fields;
}

test.each([
  ['a time that is over', { mode: 'GOVERNANCE', until: inDays(-1) }, 'files[1].lock.until', /in the future/],
  ['a time no store keeps to', { mode: 'GOVERNANCE', until: inDays(36_501) }, 'files[1].lock.until', /100 years/],
  ['a day alone', { mode: 'GOVERNANCE', until: '2099-01-01' }, 'files[1].lock.until', /2027-01-01T00:00:00Z/],
  ['another mode', { mode: 'FOREVER', until: inDays(1) }, 'files[1].lock.mode', /GOVERNANCE, COMPLIANCE/],
  ['a store without Object Lock', { mode: 'COMPLIANCE', until: inDays(1) }, 'files[1].lock', /has no Object Lock/],
])('a lock with %s is refused by its name, and nothing is staged', async (_, lock, path, message) => {
  expect(await fieldsOf(lock)).toEqual([{ path, message: expect.stringMatching(message) }]);
  expect((await api.store.list('staging/')).objects).toEqual([]);
});
