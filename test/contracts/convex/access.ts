import { describe, expect, it } from 'vitest';
import { api } from '#convex/_generated/api.js';
import { type Caller, codeOf, FIRST_PAGE, type Served, someCommit, someScene } from './served.ts';

/** Who may call what. */
export function describeAccess(served: () => Served): void {
  describe('access', () => {
    it('is for members of the project; only the service writes', async () => {
      const scene = someScene();
      const item = someCommit(scene);
      const { project, session } = scene;
      const { assetId } = item.facts;
      const batch = { batchId: `b-${project}`, project, owner: 'k', total: 1, ready: 0, failed: 0, createdAt: 1 };
      await served().commit([item]);
      await served().service.mutation(api.batches.apply, { updates: [{ ...batch, state: 'running' }] });
      await served().service.mutation(api.members.put, { project, subject: 'ada', role: 'viewer' });
      await served().service.mutation(api.members.put, { project: 'another', subject: 'eve', role: 'admin' });

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
        () => caller.mutation(api.assets.withdraw, { items: [] }),
        () => caller.mutation(api.assets.deleteAssetReferences, { assetIds: [assetId] }),
        () => caller.mutation(api.sessions.upsert, { project, session }),
        () => caller.mutation(api.sessions.recount, { project, session, cursor: null, sum: { size: 0, count: 0 } }),
        () => caller.query(api.sessions.count, { project, session, cursor: null, sum: { size: 0, count: 0 } }),
        () => caller.query(api.sessions.scan, { limit: 1 }),
        () => caller.mutation(api.scenes.upsert, scene),
        () => caller.mutation(api.batches.apply, { updates: [] }),
        () => caller.mutation(api.members.put, { project, subject: 'eve', role: 'admin' }),
        () => caller.mutation(api.apiKeys.put, { keyId: 'x', secretHash: '', name: '', scopes: [], createdAt: 1 }),
        () => caller.mutation(api.flags.put, { name: 'x', percentage: 1 }),
        () => caller.query(api.flags.list, {}),
        () => caller.mutation(api.audit.append, { entries: [] }),
        () => caller.query(api.audit.list, { project, paginationOpts: FIRST_PAGE }),
        () => caller.query(api.assets.scan, { prefix: '', limit: 1 }),
        () => caller.mutation(api.quarantine.put, { objects: [] }),
        () => caller.query(api.quarantine.list, { limit: 1 }),
        () => caller.mutation(api.quarantine.remove, { s3Keys: [] }),
        () => caller.query(api.assets.getMany, { assetIds: [assetId] }),
        () => caller.query(api.apiKeys.find, { keyId: 'x' }),
        () => caller.query(api.members.find, { project, subject: 'ada' }),
      ];

      const [ada, eve, nobody] = await Promise.all([
        served().backend.as('ada'),
        served().backend.as('eve'),
        served().backend.as(null),
      ]);
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
      await expect(served().service.query(api.sessions.watch, wrong)).rejects.toThrow();
      const many = Array.from({ length: 501 }, () => null);
      expect(await codeOf(() => served().commit(many))).toBe('VALIDATION_FAILED');
    });
  });
}
