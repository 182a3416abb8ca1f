import { describe, expect, it } from 'vitest';
import { api } from '#convex/_generated/api.js';
import { ERROR, type Served, someCommit, someFacts, someScene, someUpdate } from './served.ts';

/** What status writes and deletions promise. */
export function describeStatuses(served: () => Served): void {
  describe('statuses', () => {
    it('are seen on the scene: pending, uploading with rising progress, ready; never backwards', async () => {
      const scene = someScene();
      const item = someCommit(scene);
      const { facts } = item;
      const seen: unknown[] = [];
      const look = async () => {
        const { assets, assetsStatus } = await served().watch(scene);
        seen.push([assetsStatus, assets[0]?.status, assets[0]?.progress]);
      };
      await served().apply(someUpdate(facts, { fence: [0, 0, 0], status: 'pending' }));
      await look();
      await served().apply(someUpdate(facts, { fence: [0, 1, 1], progress: 0.2 }));
      await look();
      await served().apply(someUpdate(facts, { fence: [0, 1, 3], progress: 0.6 }));
      await look();
      await served().apply(
        someUpdate(facts, { fence: [0, 1, 2], progress: 0.4 }),
        someUpdate(facts, { fence: [0, 1, 3] }),
      );
      await look();
      await served().apply(someUpdate(facts, { fence: [0, 2, 1], progress: 0.1 }));
      await look();
      await served().commit([item]);
      await look();
      await served().apply(someUpdate(facts, { fence: [9, 9, 9], status: 'error', error: ERROR }));
      await look();
      expect(seen).toEqual([
        ['pending', 'pending', 0],
        ['uploading', 'uploading', 0.2],
        ['uploading', 'uploading', 0.6],
        ['uploading', 'uploading', 0.6],
        ['uploading', 'uploading', 0.6],
        ['ready', 'ready', 1],
        ['ready', 'ready', 1],
      ]);
    });

    it('are ordered by their fences, within one call too', async () => {
      const scene = someScene();
      const facts = someFacts(scene);
      const write = (...fence: [number, number, number]) => someUpdate(facts, { fence, attempt: fence[2] });
      await served().apply(write(0, 9, 1), write(0, 10, 2), write(0, 9, 3));
      expect((await served().watch(scene)).assets).toMatchObject([{ attempt: 2 }]);
      await served().apply(write(0, 10, 1), write(0, 9, 99));
      expect((await served().watch(scene)).assets).toMatchObject([{ attempt: 2 }]);
      await served().apply(write(1, 0, 0));
      expect((await served().watch(scene)).assets).toMatchObject([{ attempt: 0 }]);
    });

    it('carry the error to asset and scene until a newer upload of the type replaces it', async () => {
      const scene = someScene();
      const facts = someFacts(scene, { acceptedSeq: 1 });
      await served().apply(someUpdate(facts, { status: 'error', error: ERROR, attempt: 3 }));
      const failed = await served().watch(scene);
      expect(failed).toMatchObject({ assetsStatus: 'error', assetsErrorMessage: 'Other bytes.' });
      expect(failed.assets).toMatchObject([{ assetId: facts.assetId, error: ERROR, attempt: 3, maxAttempts: 3 }]);
      await served().commit([someCommit(scene, { acceptedSeq: 2 })]);
      const replaced = await served().watch(scene);
      expect(replaced.assetsStatus).toBe('ready');
      expect(replaced).not.toHaveProperty('assetsErrorMessage');
    });

    it('begin again with a replay, which is a new generation', async () => {
      const scene = someScene();
      const facts = someFacts(scene);
      await served().apply(someUpdate(facts, { fence: [0, 5, 7], status: 'error', error: ERROR, progress: 0.9 }));
      await served().apply(someUpdate(facts, { fence: [1, 0, 0], status: 'pending' }));
      const { assets } = await served().watch(scene);
      expect(assets).toMatchObject([{ status: 'pending', progress: 0 }]);
      expect(assets[0]).not.toHaveProperty('error');
    });

    it('make a scene as bad as the worst of its newest assets', async () => {
      const scene = someScene();
      await served().commit([someCommit(scene, { assetType: 'thumbnail' })]);
      await served().apply(
        someUpdate(someFacts(scene, { assetType: 'subtitle' }), { status: 'pending' }),
        someUpdate(someFacts(scene, { assetType: 'source_code' }), { status: 'uploading' }),
      );
      expect(await served().watch(scene)).toMatchObject({ assetsStatus: 'uploading' });
      expect((await served().watch(scene)).assets.map((asset) => asset.assetType)).toEqual([
        'source_code',
        'thumbnail',
        'subtitle',
      ]);
    });
  });

  describe('deletion', () => {
    it('takes the asset off its scene for good', async () => {
      const scene = someScene();
      const [old, shown] = [someCommit(scene, { acceptedSeq: 2 }), someCommit(scene, { acceptedSeq: 3 })];
      await served().commit([old, shown]);
      const assetIds = [old.facts.assetId, shown.facts.assetId, 'unknown'];
      const { deleted } = await served().service.mutation(api.assets.deleteAssetReferences, { assetIds });
      expect(deleted.toSorted()).toEqual([old.facts.assetId, shown.facts.assetId].toSorted());
      const seen = await served().watch(scene);
      expect(seen).toMatchObject({ assets: [], previousAssetVersions: [], assetVersion: 2, assetsStatus: 'pending' });
      expect(seen).not.toHaveProperty('videoAsset');
      const row = await served().service.query(api.assets.get, { assetId: shown.facts.assetId });
      expect(row).toMatchObject({ status: 'deleted', current: false, version: 2 });
      expect(row).not.toHaveProperty('s3Url');

      expect(await served().commit([shown])).toMatchObject([{ ok: false, error: { code: 'GONE' } }]);
      const late = await served().commit([someCommit(scene, { acceptedSeq: 1 })]);
      expect(late).toMatchObject([{ ok: true, version: 3, current: false }]);
    });
  });
}
