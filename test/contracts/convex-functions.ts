import type { FunctionArgs, FunctionReference, FunctionReturnType } from 'convex/server';
import { ConvexError } from 'convex/values';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { api } from '#convex/_generated/api.js';
import { wire, withMetadataText } from '#metadata/wire.ts';
import * as some from '../asset-facts.ts';

/** Someone who calls functions. */
export interface Caller {
  query<Fn extends FunctionReference<'query'>>(fn: Fn, args: FunctionArgs<Fn>): Promise<FunctionReturnType<Fn>>;
  mutation<Fn extends FunctionReference<'mutation'>>(fn: Fn, args: FunctionArgs<Fn>): Promise<FunctionReturnType<Fn>>;
}

/** Something that serves the functions of `convex/`. */
export interface Backend {
  /** The holder of a token for `subject`, of none for null. */
  as(subject: string | null): Promise<Caller>;
  close(): Promise<void>;
}

const FIRST_PAGE = { numItems: 100, cursor: null };
const ERROR = {
  code: 'CHECKSUM_MISMATCH' as const,
  message: 'Other bytes.',
  retryable: false,
  nextAction: 'Again.',
  details: {},
};

/** Commits and status writes as the functions take them. */
const { someScene } = some;
const someCommit = (...of: Parameters<typeof some.someCommit>) => wire(withMetadataText(some.someCommit(...of)));
const someFacts = (...of: Parameters<typeof some.someCommit>) => someCommit(...of).facts;
const someUpdate = (facts: ReturnType<typeof someFacts>, own: Parameters<typeof some.someUpdate>[1] = {}) =>
  wire({ ...some.someUpdate(some.someFacts(facts.entity), own), facts });

/** What the functions promise, whatever serves them. */
export function convexFunctionsContract(name: string, open: () => Promise<Backend>): void {
  describe(`convex functions on ${name}`, () => {
    let backend: Backend;
    let service: Caller;
    beforeAll(async () => {
      backend = await open();
      service = await backend.as('service');
    });
    afterAll(() => backend?.close());

    const commit = (items: readonly unknown[]) => service.mutation(api.assets.batchUpdateAssets, { items: [...items] });
    const watch = async (scene: ReturnType<typeof someScene>) => {
      const seen = await service.query(api.scenes.watch, scene);
      if (!seen) throw new Error('The scene is not there.');
      return seen;
    };

    describe('commits', () => {
      it('make an asset ready and show it on its scene, creating all on the way', async () => {
        const scene = someScene();
        const item = someCommit(scene);
        const results = await commit([item]);
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
        expect(await service.query(api.assets.get, { assetId })).toEqual({
          ...facts,
          ...shown,
          assetId,
          status: 'ready',
          progress: 1,
          attempt: 1,
          maxAttempts: 1,
          current: true,
          version: 1,
        });
        const seen = await watch(scene);
        expect(seen).toMatchObject({ ...scene, assetsStatus: 'ready', assetVersion: 1, previousAssetVersions: [] });
        expect(seen.videoAsset).toEqual({ assetId, version: 1, ...shown });
        expect(Object.keys(seen).filter((field) => field.startsWith('_') || field === 'heads')).toEqual([]);
      });

      it('answer a repeat as the first time, after a newer one too', async () => {
        const scene = someScene();
        const [first, second] = [someCommit(scene, { acceptedSeq: 1 }), someCommit(scene, { acceptedSeq: 2 })];
        const [answer] = await commit([first]);
        await commit([second]);
        expect(await commit([first])).toEqual([answer]);
        const again = { assetId: second.facts.assetId, ok: true, version: 2, current: true };
        expect(await commit([second, second])).toEqual([again, again]);
        expect(await watch(scene)).toMatchObject({ assetVersion: 2, videoAsset: { version: 2 } });
      });

      it('give racing uploads versions 1 to 20 once each; current is the one accepted last', async () => {
        const scene = someScene();
        const items = Array.from({ length: 20 }, (_, at) => someCommit(scene, { acceptedSeq: ((at * 7) % 20) + 1 }));
        const results = (await Promise.all(items.map((item) => commit([item])))).flat();
        const versions = results.map((result) => (result.ok ? result.version : 0)).sort((a, b) => a - b);
        expect(versions).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));

        const last = items.find((item) => item.facts.acceptedSeq === 20)?.facts.assetId;
        const list = { ...scene, paginationOpts: FIRST_PAGE };
        const current = await service.query(api.assets.getAssetsByEntity, list);
        expect(current.page.map((asset) => asset.assetId)).toEqual([last]);
        const history = await service.query(api.assets.getAssetsByEntity, { ...list, history: true });
        expect(history.page.map((asset) => asset.version)).toEqual(Array.from({ length: 20 }, (_, at) => 20 - at));
        expect((await watch(scene)).videoAsset?.assetId).toBe(last);
      });

      it('take 200 files of one scene and type in one mutation', async () => {
        const scene = someScene();
        const items = Array.from({ length: 200 }, (_, at) => someCommit(scene, { acceptedSeq: at + 1 }));
        const results = await commit(items);
        expect(results.map((result) => (result.ok ? result.version : 0))).toEqual(items.map((_, at) => at + 1));
        const seen = await watch(scene);
        expect(seen).toMatchObject({ assetVersion: 200, videoAsset: { version: 200 }, assetsStatus: 'ready' });
        expect(seen.previousAssetVersions.map(({ version }) => version)).toEqual([
          199, 198, 197, 196, 195, 194, 193, 192, 191, 190,
        ]);
        expect(seen.previousAssetVersions[0]).toMatchObject({ type: 'video_chunk', replacedAt: expect.any(Number) });
      });

      it('give what was accepted earlier a version, but do not make it current', async () => {
        const scene = someScene();
        const [newer, older] = [someCommit(scene, { acceptedSeq: 9 }), someCommit(scene, { acceptedSeq: 3 })];
        await commit([newer]);
        expect(await commit([older])).toMatchObject([{ version: 2, current: false }]);
        const seen = await watch(scene);
        expect(seen).toMatchObject({ videoAsset: { assetId: newer.facts.assetId }, previousAssetVersions: [] });
      });

      it('judge each item by itself: a bad one harms no other', async () => {
        const scene = someScene();
        const good = someCommit(scene);
        const bad = { ...someCommit(scene), stored: { ...good.stored, checksum: 'no', size: -1 } };
        const misplaced = someCommit({ project: scene.project, session: scene.session });
        const results = await commit([null, bad, good, misplaced]);
        expect(results.map((result) => result.ok)).toEqual([false, false, true, false]);
        expect(results[1]).toMatchObject({
          assetId: bad.facts.assetId,
          error: { code: 'VALIDATION_FAILED', message: expect.stringMatching(/stored\.size.*stored\.checksum/) },
        });
        expect(await watch(scene)).toMatchObject({ assetVersion: 1 });
      });

      it('refuse an asset id of another entity', async () => {
        const item = someCommit(someScene());
        await commit([item]);
        const stolen = someCommit(someScene(), { assetId: item.facts.assetId });
        expect(await commit([stolen])).toMatchObject([{ ok: false, error: { code: 'CONFLICT' } }]);
      });

      it('show a session its own assets, by the calls for one entity too', async () => {
        const { scene, ...session } = someScene();
        const film = someCommit(session, { assetType: 'combined_video' });
        const clip = someCommit({ ...session, scene });
        const results = await service.mutation(api.assets.updateSessionAssets, { ...session, items: [film, clip] });
        expect(results.map((result) => result.ok)).toEqual([true, false]);
        const own = await service.mutation(api.assets.updateSceneAssets, { ...session, scene, items: [clip, film] });
        expect(own.map((result) => result.ok)).toEqual([true, false]);
        const seen = await service.query(api.sessions.watch, session);
        expect(seen).toMatchObject({ ...session, assetsStatus: 'ready', totalAssetSize: 0, assetCount: 0 });
        expect(seen?.combinedVideoAsset?.assetId).toBe(film.facts.assetId);

        const recounted = await service.mutation(api.sessions.recount, {
          ...session,
          cursor: null,
          sum: { size: 0, count: 0 },
        });
        expect(recounted).toEqual({ cursor: null, sum: { size: 2_468, count: 2 } });
        expect(await service.query(api.sessions.watch, session)).toMatchObject({
          totalAssetSize: 2_468,
          assetCount: 2,
        });
      });
    });

    describe('statuses', () => {
      const apply = (...updates: ReturnType<typeof someUpdate>[]) =>
        service.mutation(api.assets.applyStatuses, { updates });

      it('are seen on the scene: pending, uploading with rising progress, ready; never backwards', async () => {
        const scene = someScene();
        const item = someCommit(scene);
        const { facts } = item;
        const seen: unknown[] = [];
        const look = async () => {
          const { assets, assetsStatus } = await watch(scene);
          seen.push([assetsStatus, assets[0]?.status, assets[0]?.progress]);
        };
        await apply(someUpdate(facts, { fence: [0, 0, 0], status: 'pending' }));
        await look();
        await apply(someUpdate(facts, { fence: [0, 1, 1], progress: 0.2 }));
        await look();
        await apply(someUpdate(facts, { fence: [0, 1, 3], progress: 0.6 }));
        await look();
        await apply(someUpdate(facts, { fence: [0, 1, 2], progress: 0.4 }), someUpdate(facts, { fence: [0, 1, 3] }));
        await look();
        await apply(someUpdate(facts, { fence: [0, 2, 1], progress: 0.1 }));
        await look();
        await commit([item]);
        await look();
        await apply(someUpdate(facts, { fence: [9, 9, 9], status: 'error', error: ERROR }));
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
        await apply(write(0, 9, 1), write(0, 10, 2), write(0, 9, 3));
        expect((await watch(scene)).assets).toMatchObject([{ attempt: 2 }]);
        await apply(write(0, 10, 1), write(0, 9, 99));
        expect((await watch(scene)).assets).toMatchObject([{ attempt: 2 }]);
        await apply(write(1, 0, 0));
        expect((await watch(scene)).assets).toMatchObject([{ attempt: 0 }]);
      });

      it('carry the error to asset and scene until a newer upload of the type replaces it', async () => {
        const scene = someScene();
        const facts = someFacts(scene, { acceptedSeq: 1 });
        await apply(someUpdate(facts, { status: 'error', error: ERROR, attempt: 3 }));
        const failed = await watch(scene);
        expect(failed).toMatchObject({ assetsStatus: 'error', assetsErrorMessage: 'Other bytes.' });
        expect(failed.assets).toMatchObject([{ assetId: facts.assetId, error: ERROR, attempt: 3, maxAttempts: 3 }]);
        await commit([someCommit(scene, { acceptedSeq: 2 })]);
        const replaced = await watch(scene);
        expect(replaced.assetsStatus).toBe('ready');
        expect(replaced).not.toHaveProperty('assetsErrorMessage');
      });

      it('begin again with a replay, which is a new generation', async () => {
        const scene = someScene();
        const facts = someFacts(scene);
        await apply(someUpdate(facts, { fence: [0, 5, 7], status: 'error', error: ERROR, progress: 0.9 }));
        await apply(someUpdate(facts, { fence: [1, 0, 0], status: 'pending' }));
        const { assets } = await watch(scene);
        expect(assets).toMatchObject([{ status: 'pending', progress: 0 }]);
        expect(assets[0]).not.toHaveProperty('error');
      });

      it('make a scene as bad as the worst of its newest assets', async () => {
        const scene = someScene();
        await commit([someCommit(scene, { assetType: 'thumbnail' })]);
        await apply(
          someUpdate(someFacts(scene, { assetType: 'subtitle' }), { status: 'pending' }),
          someUpdate(someFacts(scene, { assetType: 'source_code' }), { status: 'uploading' }),
        );
        expect(await watch(scene)).toMatchObject({ assetsStatus: 'uploading' });
        expect((await watch(scene)).assets.map((asset) => asset.assetType)).toEqual([
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
        await commit([old, shown]);
        const assetIds = [old.facts.assetId, shown.facts.assetId, 'unknown'];
        const { deleted } = await service.mutation(api.assets.deleteAssetReferences, { assetIds });
        expect(deleted.toSorted()).toEqual([old.facts.assetId, shown.facts.assetId].toSorted());
        const seen = await watch(scene);
        expect(seen).toMatchObject({ assets: [], previousAssetVersions: [], assetVersion: 2, assetsStatus: 'pending' });
        expect(seen).not.toHaveProperty('videoAsset');
        const row = await service.query(api.assets.get, { assetId: shown.facts.assetId });
        expect(row).toMatchObject({ status: 'deleted', current: false, version: 2 });
        expect(row).not.toHaveProperty('s3Url');

        expect(await commit([shown])).toMatchObject([{ ok: false, error: { code: 'GONE' } }]);
        const late = await commit([someCommit(scene, { acceptedSeq: 1 })]);
        expect(late).toMatchObject([{ ok: true, version: 3, current: false }]);
      });
    });

    describe('records', () => {
      it('list assets by type, in pages', async () => {
        const scene = someScene();
        const items = Array.from({ length: 5 }, (_, at) => someCommit(scene, { acceptedSeq: at + 1 }));
        await commit([...items, someCommit(scene, { assetType: 'subtitle', acceptedSeq: 6 })]);
        const versions: unknown[] = [];
        let cursor: string | null = null;
        for (let pages = 0; pages < 3; pages += 1) {
          const answer: FunctionReturnType<typeof api.assets.getAssetsByEntity> = await service.query(
            api.assets.getAssetsByEntity,
            { ...scene, assetType: 'video_chunk', history: true, paginationOpts: { numItems: 2, cursor } },
          );
          versions.push(answer.page.map((asset) => asset.version));
          cursor = answer.continueCursor;
        }
        expect(versions).toEqual([[5, 4], [3, 2], [1]]);
        const current = await service.query(api.assets.getAssetsByEntity, { ...scene, paginationOpts: FIRST_PAGE });
        expect(current.page.map((asset) => asset.assetType).toSorted()).toEqual(['subtitle', 'video_chunk']);
        const none = await service.query(api.assets.getAssetsByEntity, { ...someScene(), paginationOpts: FIRST_PAGE });
        expect(none).toMatchObject({ page: [], isDone: true });
      });

      it('give many assets at once, leaving out unknown ids', async () => {
        const items = [someCommit(someScene()), someCommit(someScene())];
        await commit(items);
        const assetIds = items.map((item) => item.facts.assetId);
        const found = await service.query(api.assets.getMany, { assetIds: [...assetIds, 'unknown'] });
        expect(found.map((asset) => asset.assetId).toSorted()).toEqual(assetIds.toSorted());
      });

      it('create and rename sessions and scenes by external id', async () => {
        const { scene, ...session } = someScene();
        const create = () => service.mutation(api.scenes.upsert, { ...session, scene, name: 'Opening' });
        expect(await create()).toEqual({ created: true });
        expect(await create()).toEqual({ created: false });
        expect(await service.mutation(api.sessions.upsert, { ...session, name: 'Cut' })).toEqual({ created: false });
        expect(await service.query(api.sessions.watch, session)).toMatchObject({ name: 'Cut', assets: [] });
        expect(await watch({ ...session, scene })).toMatchObject({ name: 'Opening', assetsStatus: 'pending' });
      });

      it('keep the newest record of a batch', async () => {
        const { project } = someScene();
        const batchId = `b-${project}`;
        const record = { batchId, project, owner: 'k-1', total: 3, ready: 0, failed: 0, createdAt: 1 };
        await service.mutation(api.batches.apply, { updates: [{ ...record, state: 'accepted' }] });
        const done = { ...record, ready: 2, failed: 1, state: 'done' as const };
        await service.mutation(api.batches.apply, { updates: [done, { ...record, ready: 1, state: 'running' }] });
        expect(await service.query(api.batches.watch, { batchId })).toEqual(done);
      });

      it('keep keys and members', async () => {
        const key = {
          keyId: someScene().project,
          secretHash: 'h',
          name: 'agent',
          scopes: ['assets:read'],
          createdAt: 1,
        };
        expect(await service.query(api.apiKeys.find, { keyId: key.keyId })).toBeNull();
        await service.mutation(api.apiKeys.put, { ...key, expiresAt: 5 });
        await service.mutation(api.apiKeys.put, key);
        expect(await service.query(api.apiKeys.find, { keyId: key.keyId })).toEqual(key);

        const member = { project: key.keyId, subject: 'ada' };
        await service.mutation(api.members.put, { ...member, role: 'viewer' });
        await service.mutation(api.members.put, { ...member, role: 'editor' });
        expect(await service.query(api.members.find, member)).toBe('editor');
      });
    });

    describe('access', () => {
      it('is for members of the project; only the service writes', async () => {
        const scene = someScene();
        const item = someCommit(scene);
        const { project, session } = scene;
        const { assetId } = item.facts;
        const batch = { batchId: `b-${project}`, project, owner: 'k', total: 1, ready: 0, failed: 0, createdAt: 1 };
        await commit([item]);
        await service.mutation(api.batches.apply, { updates: [{ ...batch, state: 'running' }] });
        await service.mutation(api.members.put, { project, subject: 'ada', role: 'viewer' });
        await service.mutation(api.members.put, { project: 'another', subject: 'eve', role: 'admin' });

        const reads = (caller: Caller) => [
          () => caller.query(api.scenes.watch, scene),
          () => caller.query(api.sessions.watch, { project, session }),
          () => caller.query(api.batches.watch, { batchId: batch.batchId }),
          () => caller.query(api.assets.get, { assetId }),
          () => caller.query(api.assets.getAssetsByEntity, { ...scene, paginationOpts: FIRST_PAGE }),
        ];
        const serviceOnly = (caller: Caller) => [
          () => caller.mutation(api.assets.batchUpdateAssets, { items: [] }),
          () => caller.mutation(api.assets.updateSceneAssets, { ...scene, items: [] }),
          () => caller.mutation(api.assets.updateSessionAssets, { project, session, items: [] }),
          () => caller.mutation(api.assets.applyStatuses, { updates: [] }),
          () => caller.mutation(api.assets.deleteAssetReferences, { assetIds: [assetId] }),
          () => caller.mutation(api.sessions.upsert, { project, session }),
          () => caller.mutation(api.sessions.recount, { project, session, cursor: null, sum: { size: 0, count: 0 } }),
          () => caller.mutation(api.scenes.upsert, scene),
          () => caller.mutation(api.batches.apply, { updates: [] }),
          () => caller.mutation(api.members.put, { project, subject: 'eve', role: 'admin' }),
          () => caller.mutation(api.apiKeys.put, { keyId: 'x', secretHash: '', name: '', scopes: [], createdAt: 1 }),
          () => caller.query(api.assets.getMany, { assetIds: [assetId] }),
          () => caller.query(api.apiKeys.find, { keyId: 'x' }),
          () => caller.query(api.members.find, { project, subject: 'ada' }),
        ];

        const [ada, eve, nobody] = await Promise.all([backend.as('ada'), backend.as('eve'), backend.as(null)]);
        for (const read of reads(ada)) expect(await read()).toBeTruthy();
        for (const read of reads(eve)) expect(await codeOf(read)).toBe('FORBIDDEN');
        for (const read of reads(nobody)) expect(await codeOf(read)).toBe('UNAUTHENTICATED');
        for (const call of serviceOnly(ada)) expect(await codeOf(call)).toBe('FORBIDDEN');
        for (const call of serviceOnly(nobody)) expect(await codeOf(call)).toBe('UNAUTHENTICATED');
        expect(await ada.query(api.assets.get, { assetId: 'not yet' })).toBeNull();
        expect(await codeOf(() => nobody.query(api.assets.get, { assetId: 'not yet' }))).toBe('UNAUTHENTICATED');
        expect(await nobody.query(api.health.check, {})).toBe('ok');
      });

      it('refuses arguments of another form', async () => {
        const wrong = { project: 1 } as unknown as { project: string; session: string };
        await expect(service.query(api.sessions.watch, wrong)).rejects.toThrow();
        const many = Array.from({ length: 501 }, () => null);
        expect(await codeOf(() => commit(many))).toBe('VALIDATION_FAILED');
      });
    });
  });
}

/** The code of the refusal, or what happened instead. */
async function codeOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return { answered: await call() };
  } catch (thrown) {
    return thrown instanceof ConvexError ? thrown.data.code : thrown;
  }
}
