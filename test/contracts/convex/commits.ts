import { describe, expect, it } from 'vitest';
import { api } from '#convex/_generated/api.js';
import { FIRST_PAGE, type Served, someCommit, someScene, someUpdate } from './served.ts';

/** What commits promise. */
export function describeCommits(served: () => Served): void {
  describe('commits', () => {
    it('make an asset ready and show it on its scene, creating all on the way', async () => {
      const scene = someScene();
      const item = someCommit(scene);
      const results = await served().commit([item]);
      expect(results).toEqual([{ assetId: item.facts.assetId, ok: true, version: 1, current: true }]);
      const { assetId, jobId: _, ...facts } = item.facts;
      const shown = {
        contentType: 'video/mp4',
        s3Key: item.stored.s3Key,
        size: 1_234,
        checksum: 'ab'.repeat(32),
        ...item.url,
        uploadedAt: item.uploadedAt,
      };
      expect(await served().service.query(api.assets.get, { assetId })).toEqual({
        ...facts,
        ...shown,
        assetId,
        status: 'ready',
        progress: 1,
        attempt: 2,
        maxAttempts: 3,
        current: true,
        version: 1,
      });
      const seen = await served().watch(scene);
      expect(seen).toMatchObject({ ...scene, assetsStatus: 'ready', assetVersion: 1, previousAssetVersions: [] });
      expect(seen.videoAsset).toEqual({ assetId, version: 1, ...shown });
      expect(Object.keys(seen).filter((field) => field.startsWith('_') || field === 'heads')).toEqual([]);
    });

    it('answer a repeat as the first time, after a newer one too', async () => {
      const scene = someScene();
      const [first, second] = [someCommit(scene, { acceptedSeq: 1 }), someCommit(scene, { acceptedSeq: 2 })];
      const [answer] = await served().commit([first]);
      await served().commit([second]);
      expect(await served().commit([first])).toEqual([answer]);
      const again = { assetId: second.facts.assetId, ok: true, version: 2, current: true };
      expect(await served().commit([second, second])).toEqual([again, again]);
      expect(await served().watch(scene)).toMatchObject({ assetVersion: 2, videoAsset: { version: 2 } });
    });

    it('give racing uploads versions 1 to 20 once each; current is the one accepted last', async () => {
      const scene = someScene();
      const items = Array.from({ length: 20 }, (_, at) => someCommit(scene, { acceptedSeq: ((at * 7) % 20) + 1 }));
      const results = (await Promise.all(items.map((item) => served().commit([item])))).flat();
      const versions = results.map((result) => (result.ok ? result.version : 0)).sort((a, b) => a - b);
      expect(versions).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));

      const last = items.find((item) => item.facts.acceptedSeq === 20)?.facts.assetId;
      const list = { ...scene, paginationOpts: FIRST_PAGE };
      const current = await served().service.query(api.assets.getAssetsByEntity, list);
      expect(current.page.map((asset) => asset.assetId)).toEqual([last]);
      const history = await served().service.query(api.assets.getAssetsByEntity, { ...list, history: true });
      expect(history.page.map((asset) => asset.version)).toEqual(Array.from({ length: 20 }, (_, at) => 20 - at));
      expect((await served().watch(scene)).videoAsset?.assetId).toBe(last);
    });

    it('take 200 files of one scene and type in one mutation', async () => {
      const scene = someScene();
      const items = Array.from({ length: 200 }, (_, at) => someCommit(scene, { acceptedSeq: at + 1 }));
      const results = await served().commit(items);
      expect(results.map((result) => (result.ok ? result.version : 0))).toEqual(items.map((_, at) => at + 1));
      const seen = await served().watch(scene);
      expect(seen).toMatchObject({ assetVersion: 200, videoAsset: { version: 200 }, assetsStatus: 'ready' });
      expect(seen.previousAssetVersions.map(({ version }) => version)).toEqual([
        199, 198, 197, 196, 195, 194, 193, 192, 191, 190,
      ]);
      expect(seen.previousAssetVersions[0]).toMatchObject({ type: 'video_chunk', replacedAt: expect.any(Number) });
    });

    it('give what was accepted earlier a version, but do not make it current', async () => {
      const scene = someScene();
      const [newer, older] = [someCommit(scene, { acceptedSeq: 9 }), someCommit(scene, { acceptedSeq: 3 })];
      await served().commit([newer]);
      expect(await served().commit([older])).toMatchObject([{ version: 2, current: false }]);
      const seen = await served().watch(scene);
      expect(seen).toMatchObject({ videoAsset: { assetId: newer.facts.assetId }, previousAssetVersions: [] });
    });

    it('say of attempts what the commit says, whether or not a status write came before', async () => {
      const scene = someScene();
      const [early, late] = [someCommit(scene, { acceptedSeq: 1 }), someCommit(scene, { acceptedSeq: 2 })];
      await served().apply(someUpdate(late.facts, { status: 'pending', fence: [0, 0, 0], attempt: 0, maxAttempts: 5 }));
      await served().commit([early, late]);
      await served().apply(
        someUpdate(early.facts, { status: 'pending', fence: [0, 0, 0], attempt: 0, maxAttempts: 5 }),
      );
      for (const { facts } of [early, late]) {
        const row = await served().service.query(api.assets.get, { assetId: facts.assetId });
        expect(row).toMatchObject({ status: 'ready', attempt: 2, maxAttempts: 3 });
      }
    });

    it('give versions in the order of acceptance within one call', async () => {
      const scene = someScene();
      const items = [3, 1, 2].map((acceptedSeq) => someCommit(scene, { acceptedSeq }));
      const results = await served().commit(items);
      expect(results.map(({ assetId }) => assetId)).toEqual(items.map(({ facts }) => facts.assetId));
      expect(results).toMatchObject([3, 1, 2].map((version) => ({ ok: true, version, current: true })));
      expect(await served().watch(scene)).toMatchObject({ videoAsset: { version: 3 } });
    });

    it('refuse other bytes for an asset that was committed', async () => {
      const item = someCommit(someScene());
      await served().commit([item]);
      for (const other of [{ checksum: 'cd'.repeat(32) }, { size: 1_235 }]) {
        const wrong = { ...item, stored: { ...item.stored, ...other } };
        expect(await served().commit([wrong])).toMatchObject([{ ok: false, error: { code: 'CHECKSUM_MISMATCH' } }]);
      }
      const row = await served().service.query(api.assets.get, { assetId: item.facts.assetId });
      expect(row).toMatchObject({ status: 'ready', checksum: item.stored.checksum, size: 1_234 });
    });

    it('refuse what a key sent that had been revoked', async () => {
      const scene = someScene();
      const keyId = scene.project;
      const key = { keyId, secretHash: 'h', name: 'agent', scopes: [], createdAt: 1, revokedAt: 1_000 };
      const sent = (createdAt: number, acceptedSeq: number) =>
        someCommit(scene, { createdBy: keyId, createdAt, acceptedSeq });
      const before = sent(999, 1);
      await served().commit([before]);
      await served().service.mutation(api.apiKeys.put, key);
      const results = await served().commit([before, sent(999, 2), sent(1_000, 3), sent(1_001, 4)]);
      expect(results).toMatchObject([
        { ok: true, version: 1 },
        { ok: true, version: 2 },
        { ok: false, error: { code: 'FORBIDDEN' } },
        { ok: false, error: { code: 'FORBIDDEN' } },
      ]);
      expect(await served().watch(scene)).toMatchObject({ assetVersion: 2, videoAsset: { version: 2 } });
    });

    it('judge each item by itself: a bad one harms no other', async () => {
      const scene = someScene();
      const good = someCommit(scene);
      const bad = { ...someCommit(scene), stored: { ...good.stored, checksum: 'no', size: -1 } };
      const misplaced = someCommit({ project: scene.project, session: scene.session });
      const results = await served().commit([null, bad, good, misplaced]);
      expect(results.map((result) => result.ok)).toEqual([false, false, true, false]);
      expect(results[1]).toMatchObject({
        assetId: bad.facts.assetId,
        error: { code: 'VALIDATION_FAILED', message: expect.stringMatching(/stored\.size.*stored\.checksum/) },
      });
      expect(await served().watch(scene)).toMatchObject({ assetVersion: 1 });
    });

    it('refuse an asset id of another entity', async () => {
      const item = someCommit(someScene());
      await served().commit([item]);
      const stolen = someCommit(someScene(), { assetId: item.facts.assetId });
      expect(await served().commit([stolen])).toMatchObject([{ ok: false, error: { code: 'CONFLICT' } }]);
    });

    it('show a session its own assets, by the calls for one entity too', async () => {
      const { scene, ...session } = someScene();
      const film = someCommit(session, { assetType: 'combined_video' });
      const clip = someCommit({ ...session, scene });
      const results = await served().service.mutation(api.assets.updateSessionAssets, {
        ...session,
        items: [film, clip],
      });
      expect(results.map((result) => result.ok)).toEqual([true, false]);
      const own = await served().service.mutation(api.assets.updateSceneAssets, {
        ...session,
        scene,
        items: [clip, film],
      });
      expect(own.map((result) => result.ok)).toEqual([true, false]);
      const seen = await served().service.query(api.sessions.watch, session);
      expect(seen).toMatchObject({ ...session, assetsStatus: 'ready', totalAssetSize: 0, assetCount: 0 });
      expect(seen?.combinedVideoAsset?.assetId).toBe(film.facts.assetId);

      const recounted = await served().service.mutation(api.sessions.recount, {
        ...session,
        cursor: null,
        sum: { size: 0, count: 0 },
      });
      expect(recounted).toEqual({ cursor: null, sum: { size: 2_468, count: 2 } });
      expect(await served().service.query(api.sessions.watch, session)).toMatchObject({
        totalAssetSize: 2_468,
        assetCount: 2,
      });
    });
  });
}
