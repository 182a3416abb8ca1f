import { describe, expect, it } from 'vitest';
import { api } from '#convex/_generated/api.js';
import { ERROR, FIRST_PAGE, type Served, someCommit, someScene, someUpdate } from './served.ts';

/** What withdrawals promise, and commits of what was withdrawn. */
export function describeWithdrawals(served: () => Served): void {
  describe('withdrawals', () => {
    const accepted = (scene: ReturnType<typeof someScene>, ...seqs: number[]) =>
      seqs.map((acceptedSeq) => someCommit(scene, { acceptedSeq })) as [Commit, Commit, Commit];
    const withdraw = (...items: Commit[]) =>
      served().service.mutation(api.assets.withdraw, {
        items: items.map(({ facts, stored }) => ({ assetId: facts.assetId, checksum: stored.checksum, error: ERROR })),
      });
    const row = ({ facts: { assetId } }: Commit) => served().service.query(api.assets.get, { assetId });
    const shown = async (scene: ReturnType<typeof someScene>) => {
      const { videoAsset, previousAssetVersions, assetVersion, assetsStatus } = await served().watch(scene);
      const previous = previousAssetVersions.map(({ version }) => version);
      return { version: videoAsset?.version, previous, assetVersion, assetsStatus };
    };

    it('show the newest accepted one that is ready still', async () => {
      const scene = someScene();
      const [two, one, three] = accepted(scene, 2, 1, 3);
      await served().commit([two]);
      await served().commit([one]);
      await served().commit([three]);
      expect(await shown(scene)).toMatchObject({ version: 3, previous: [1] });

      expect(await withdraw(three)).toEqual([three.facts.assetId]);
      const withdrawn = await row(three);
      expect(withdrawn).toMatchObject({ status: 'error', error: ERROR, current: false, version: 3, size: 1_234 });
      expect(withdrawn).not.toHaveProperty('s3Url');
      expect(await row(two)).toMatchObject({ status: 'ready', current: true });
      expect(await shown(scene)).toEqual({ version: 1, previous: [], assetVersion: 3, assetsStatus: 'error' });
      const { videoAsset } = await served().watch(scene);
      expect(videoAsset).toMatchObject({ assetId: two.facts.assetId, s3Key: two.stored.s3Key, ...two.url });
      const page = await served().service.query(api.assets.getAssetsByEntity, { ...scene, paginationOpts: FIRST_PAGE });
      expect(page.page.map(({ assetId }) => assetId)).toEqual([two.facts.assetId]);
    });

    it('take what is not current off the versions before, and else leave all as it is', async () => {
      const scene = someScene();
      const [one, two, three] = accepted(scene, 1, 2, 3);
      await served().commit([one, two, three]);
      expect(await withdraw(two)).toEqual([two.facts.assetId]);
      expect(await shown(scene)).toEqual({ version: 3, previous: [1], assetVersion: 3, assetsStatus: 'ready' });
      expect(await served().commit([two])).toMatchObject([{ ok: true, version: 2, current: false }]);
      expect(await shown(scene)).toMatchObject({ version: 3, assetVersion: 3 });
    });

    it('leave an entity without any that is ready with nothing', async () => {
      const { scene, ...session } = someScene();
      const [film, clip] = [someCommit(session, { assetType: 'combined_video' }), someCommit({ ...session, scene })];
      await served().commit([film, clip]);
      expect((await withdraw(film, clip, film)).toSorted()).toEqual(
        [film.facts.assetId, clip.facts.assetId].toSorted(),
      );
      const seen = await served().service.query(api.sessions.watch, session);
      expect(seen).toMatchObject({ assetsStatus: 'error', assetsErrorMessage: ERROR.message });
      expect(seen).not.toHaveProperty('combinedVideoAsset');
      expect(await shown({ ...session, scene })).toMatchObject({ version: undefined, assetsStatus: 'error' });
    });

    it('spare rows that are not ready, or have other bytes', async () => {
      const scene = someScene();
      const [one, two] = accepted(scene, 1, 2);
      await served().commit([one]);
      await served().apply(someUpdate(two.facts));
      const other = { ...one, stored: { ...one.stored, checksum: 'cd'.repeat(32) } };
      expect(await withdraw(other, two, someCommit(scene))).toEqual([]);
      expect(await row(one)).toMatchObject({ status: 'ready', current: true });
      expect(await row(two)).toMatchObject({ status: 'uploading' });
      await withdraw(one);
      expect(await withdraw(one)).toEqual([]);
    });

    it('end with a commit of the same bytes, under the version it had', async () => {
      const scene = someScene();
      const [one, two, three] = accepted(scene, 1, 2, 3);
      await served().commit([one]);
      await served().commit([three]);
      await withdraw(three);
      expect(await served().commit([two])).toMatchObject([{ version: 3, current: true }]);
      const again = [{ assetId: three.facts.assetId, ok: true, version: 2, current: true }];
      expect(await served().commit([three])).toEqual(again);
      expect(await served().commit([three])).toEqual(again);
      expect(await row(three)).toMatchObject({ status: 'ready', current: true, version: 2, progress: 1, ...three.url });
      expect(await row(three)).not.toHaveProperty('error');
      expect(await shown(scene)).toEqual({ version: 2, previous: [3, 1], assetVersion: 3, assetsStatus: 'ready' });
      expect(await served().commit([someCommit(scene, { acceptedSeq: 4 })])).toMatchObject([{ version: 4 }]);
    });

    it('are seen while they are uploaded again; what was written before they happened is not', async () => {
      const scene = someScene();
      const [item] = accepted(scene, 1);
      await served().apply(someUpdate(item.facts, { fence: [0, 1, 5] }));
      await served().commit([item]);
      await withdraw(item);
      await served().apply(someUpdate(item.facts, { fence: [0, 9, 9], progress: 0.9 }));
      expect(await row(item)).toMatchObject({ status: 'error', progress: 0 });
      await served().apply(someUpdate(item.facts, { fence: [1, 0, 1], progress: 0.5 }));
      expect(await row(item)).toMatchObject({ status: 'uploading', progress: 0.5, version: 1, current: false });
      expect(await row(item)).not.toHaveProperty('error');
      expect(await shown(scene)).toMatchObject({ version: undefined, assetsStatus: 'uploading' });
      await served().apply(someUpdate(item.facts, { fence: [1, 1, 1], status: 'error', error: ERROR }));
      expect(await row(item)).toMatchObject({ status: 'error', version: 1 });
    });

    it('take 200 of one scene at once', async () => {
      const scene = someScene();
      const items = Array.from({ length: 201 }, (_, at) => someCommit(scene, { acceptedSeq: at + 1 }));
      await served().commit(items);
      expect(await withdraw(...items.slice(1))).toHaveLength(200);
      expect(await shown(scene)).toEqual({ version: 1, previous: [], assetVersion: 201, assetsStatus: 'error' });
      expect(await withdraw(...items.slice(1))).toEqual([]);
    });
  });
}

type Commit = ReturnType<typeof someCommit>;
