import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApi, type TestApi } from '#test/api.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const BYTES = Buffer.from('0123456789');
const scene = () => ({ project: `p-${randomUUID()}`, session: 's-1', scene: 'scene-1' });

async function json(response: Response): Promise<Record<string, unknown>> {
  return (await response.json()) as Record<string, unknown>;
}
async function codeOf(response: Response): Promise<[number, unknown]> {
  const { error } = (await response.json()) as { error: { code: string } };
  return [response.status, error.code];
}

describe('entities and lists', () => {
  test('creates and updates sessions and scenes by external id', async () => {
    const { project } = scene();
    const sessions = `/v1/projects/${project}/sessions`;
    const created = await api.post(sessions, { session: 'a/b c', name: 'First' });
    expect([created.status, await created.json()]).toEqual([
      201,
      { project, session: 'a/b c', name: 'First', created: true },
    ]);
    expect((await api.post(sessions, { session: 'a/b c' })).status).toBe(200);
    const scenes = `${sessions}/${encodeURIComponent('a/b c')}/scenes`;
    expect((await api.post(scenes, { scene: '1' })).status).toBe(201);
    expect(await codeOf(await api.post(scenes, { scene: '' }))).toEqual([400, 'VALIDATION_FAILED']);
  });

  test('lists current assets, or all of history, a page at a time', async () => {
    const entity = scene();
    const old = await api.stored(entity, BYTES, { acceptedSeq: 1 });
    const young = await api.stored(entity, BYTES, { acceptedSeq: 2 });
    const code = await api.stored(entity, BYTES, { assetType: 'source_code' });
    const list = async (query: string) => {
      const path = `/v1/projects/${entity.project}/sessions/s-1/scenes/scene-1/assets${query}`;
      return (await json(await api.call(path))) as { assets: { assetId: string }[]; next?: string };
    };
    const idsOf = ({ assets }: { assets: { assetId: string }[] }) => assets.map(({ assetId }) => assetId);

    expect(idsOf(await list('')).toSorted()).toEqual([young, code].toSorted());
    expect(idsOf(await list('?type=video_chunk'))).toEqual([young]);
    const page = await list('?type=video_chunk&history=1&limit=1');
    expect(idsOf(page)).toEqual([young]);
    const rest = await list(`?type=video_chunk&history=1&limit=1&cursor=${encodeURIComponent(page.next ?? '')}`);
    expect(idsOf(rest)).toEqual([old]);
    const alien = await list('?cursor=foo');
    expect(alien).toMatchObject({ error: { code: 'VALIDATION_FAILED', details: { fields: [{ path: 'cursor' }] } } });
  });

  test.each(['?limit=0', '?limit=x', '?type=film', '?histroy=1'])('refuses %s', async (query) => {
    const response = await api.call(`/v1/projects/p/sessions/s/assets${query}`);
    const path = /\w+/.exec(query)?.[0];
    expect([response.status, await json(response)]).toMatchObject([
      400,
      { error: { code: 'VALIDATION_FAILED', details: { fields: [{ path }] } } },
    ]);
  });
});
