import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { api } from '#convex/_generated/api.js';
import { ERROR, FIRST_PAGE, type Served, someCommit, someScene } from './served.ts';

/** Assets of a case, accepted in the order of their numbers. */
const ASSETS = 6;
const some = fc.uniqueArray(fc.nat(ASSETS - 1), { minLength: 1, maxLength: 3 });
const step = fc.record({ does: fc.constantFrom('commit', 'commit', 'withdraw', 'delete'), to: some });
const RUNS = 60;

/** What holds after commits, withdrawals, and deletions in any order, each as often as it likes. */
export function describeAnyOrder(served: () => Served): void {
  describe('in any order', () => {
    it('one asset is current, no version is given twice, and a scene shows what its rows say', async () => {
      const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const scene = someScene();
        const items = Array.from({ length: ASSETS }, (_, at) => someCommit(scene, { acceptedSeq: at + 1 }));
        const versions = new Map<string, number>();
        let wasDeleted = false;
        for (const { does, to } of steps) {
          const chosen = to.map((at) => items[at] as (typeof items)[number]);
          const ids = chosen.map(({ facts }) => facts.assetId);
          if (does === 'delete') {
            await served().service.mutation(api.assets.deleteAssetReferences, { assetIds: ids });
            wasDeleted = true;
          } else if (does === 'withdraw') {
            const unfit = ids.map((assetId) => ({ assetId, checksum: 'ab'.repeat(32), error: ERROR }));
            await served().service.mutation(api.assets.withdraw, { items: unfit });
          } else {
            const results = await served().commit(chosen);
            expect(results.map(({ assetId }) => assetId)).toEqual(ids);
            for (const result of results) {
              if (!result.ok) expect(result.error.code).toBe('GONE');
              else expect(result.version).toBe(versions.get(result.assetId) ?? result.version);
              if (result.ok) versions.set(result.assetId, result.version);
            }
          }
          await expectAgreement(scene, versions, wasDeleted);
        }
      });
      await fc.assert(property, { numRuns: RUNS });
    });

    async function expectAgreement(
      scene: ReturnType<typeof someScene>,
      versions: ReadonlyMap<string, number>,
      wasDeleted: boolean,
    ): Promise<void> {
      const watched = await served().service.query(api.scenes.watch, scene);
      if (!watched) return expect(versions.size).toBe(0);
      const options = { ...scene, history: true, paginationOpts: FIRST_PAGE };
      const { page: rows } = await served().service.query(api.assets.getAssetsByEntity, options);
      const ready = rows.filter(({ status }) => status === 'ready').sort((a, b) => b.acceptedSeq - a.acceptedSeq);
      const current = rows.filter((row) => row.current).map(({ assetId }) => assetId);

      // Whoever deletes what is current wants nothing shown in its place.
      expect(current).toEqual(current.length === 0 && wasDeleted ? [] : ready.slice(0, 1).map((row) => row.assetId));
      expect(watched.videoAsset?.assetId).toBe(current[0]);
      expect(watched.videoAsset?.version).toBe(versions.get(current[0] ?? ''));
      expect([...versions.values()].sort((a, b) => a - b)).toEqual(Array.from(versions, (_, at) => at + 1));
      expect(watched.assetVersion).toBe(versions.size);
      const before = watched.previousAssetVersions.map(({ assetId }) => assetId);
      expect(new Set(before).size).toBe(before.length);
      const others = ready.map(({ assetId }) => assetId).filter((assetId) => assetId !== current[0]);
      expect(before.filter((assetId) => !others.includes(assetId))).toEqual([]);
    }
  });
}
