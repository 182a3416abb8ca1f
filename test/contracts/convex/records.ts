import type { FunctionReturnType } from 'convex/server';
import { describe, expect, it } from 'vitest';
import { api } from '#convex/_generated/api.js';
import { codeOf, FIRST_PAGE, type Served, someCommit, someScene } from './served.ts';

/** What lists, sessions, scenes, batches, keys and members promise. */
export function describeRecords(served: () => Served): void {
  describe('records', () => {
    it('list assets by type, in pages', async () => {
      const scene = someScene();
      const items = Array.from({ length: 5 }, (_, at) => someCommit(scene, { acceptedSeq: at + 1 }));
      await served().commit([...items, someCommit(scene, { assetType: 'subtitle', acceptedSeq: 6 })]);
      const versions: unknown[] = [];
      let cursor: string | null = null;
      for (let pages = 0; pages < 3; pages += 1) {
        const answer: FunctionReturnType<typeof api.assets.getAssetsByEntity> = await served().service.query(
          api.assets.getAssetsByEntity,
          { ...scene, assetType: 'video_chunk', history: true, paginationOpts: { numItems: 2, cursor } },
        );
        versions.push(answer.page.map((asset) => asset.version));
        cursor = answer.continueCursor;
      }
      expect(versions).toEqual([[5, 4], [3, 2], [1]]);
      const current = await served().service.query(api.assets.getAssetsByEntity, {
        ...scene,
        paginationOpts: FIRST_PAGE,
      });
      expect(current.page.map((asset) => asset.assetType).toSorted()).toEqual(['subtitle', 'video_chunk']);
      const none = await served().service.query(api.assets.getAssetsByEntity, {
        ...someScene(),
        paginationOpts: FIRST_PAGE,
      });
      expect(none).toMatchObject({ page: [], isDone: true });
    });

    it('give many assets at once, leaving out unknown ids', async () => {
      const items = [someCommit(someScene()), someCommit(someScene())];
      await served().commit(items);
      const assetIds = items.map((item) => item.facts.assetId);
      const found = await served().service.query(api.assets.getMany, { assetIds: [...assetIds, 'unknown'] });
      expect(found.map((asset) => asset.assetId).toSorted()).toEqual(assetIds.toSorted());
    });

    it('create and rename sessions and scenes by external id', async () => {
      const { scene, ...session } = someScene();
      const create = () => served().service.mutation(api.scenes.upsert, { ...session, scene, name: 'Opening' });
      expect(await create()).toEqual({ created: true });
      expect(await create()).toEqual({ created: false });
      expect(await served().service.mutation(api.sessions.upsert, { ...session, name: 'Cut' })).toEqual({
        created: false,
      });
      expect(await served().service.query(api.sessions.watch, session)).toMatchObject({ name: 'Cut', assets: [] });
      expect(await served().watch({ ...session, scene })).toMatchObject({ name: 'Opening', assetsStatus: 'pending' });
    });

    it('keep the newest record of a batch', async () => {
      const { project } = someScene();
      const batchId = `b-${project}`;
      const record = { batchId, project, owner: 'k-1', total: 3, ready: 0, failed: 0, createdAt: 1 };
      await served().service.mutation(api.batches.apply, { updates: [{ ...record, state: 'accepted' }] });
      const done = { ...record, ready: 2, failed: 1, state: 'done' as const };
      await served().service.mutation(api.batches.apply, {
        updates: [done, { ...record, ready: 1, state: 'running' }],
      });
      expect(await served().service.query(api.batches.watch, { batchId })).toEqual(done);
    });

    it('keep keys and members', async () => {
      const key = {
        keyId: someScene().project,
        secretHash: 'h',
        name: 'agent',
        scopes: ['assets:read'],
        createdAt: 1,
      };
      expect(await served().service.query(api.apiKeys.find, { keyId: key.keyId })).toBeNull();
      await served().service.mutation(api.apiKeys.put, { ...key, expiresAt: 5 });
      await served().service.mutation(api.apiKeys.put, key);
      expect(await served().service.query(api.apiKeys.find, { keyId: key.keyId })).toEqual(key);

      const member = { project: key.keyId, subject: 'ada' };
      await served().service.mutation(api.members.put, { ...member, role: 'viewer' });
      await served().service.mutation(api.members.put, { ...member, role: 'editor' });
      expect(await served().service.query(api.members.find, member)).toBe('editor');
    });

    it('keep flags, each under its name, with a percentage that is one', async () => {
      const flag = { name: someScene().project, percentage: 10, environments: ['production'] };
      const put = (percentage: number) => served().service.mutation(api.flags.put, { ...flag, percentage });
      const kept = async () =>
        (await served().service.query(api.flags.list, {})).filter(({ name }) => name === flag.name);
      expect(await kept()).toEqual([]);
      await put(10);
      expect(await kept()).toEqual([flag]);
      await served().service.mutation(api.flags.put, { name: flag.name, percentage: 0.5, projects: ['demo'] });
      expect(await kept()).toEqual([{ name: flag.name, percentage: 0.5, projects: ['demo'] }]);
      for (const wrong of [-1, 101, Number.NaN]) expect(await codeOf(() => put(wrong))).toBe('VALIDATION_FAILED');
      expect(await kept()).toHaveLength(1);
    });
  });
}
