import { compareValues } from 'convex/values';
import { describe, expect, it } from 'vitest';
import { api } from '#convex/_generated/api.js';
import { codeOf, ERROR, type Served, someCommit, someScene, someUpdate } from './served.ts';

/** What walks over all assets, sessions and quarantined objects promise. */
export function describeScans(served: () => Served): void {
  const walk = async <Row>(
    read: (after: { after?: string }) => Promise<{ rows: Row[]; next: string | null }>,
  ): Promise<Row[][]> => {
    const pages: Row[][] = [];
    let next: string | null | undefined;
    do {
      const page: { rows: Row[]; next: string | null } = await read(next ? { after: next } : {});
      pages.push(page.rows);
      next = page.next;
    } while (next !== null);
    return pages;
  };
  const assets = (prefix: string, limit: number) =>
    walk(async (after) => {
      const page = await served().service.query(api.assets.scan, { prefix, limit, ...after });
      return { rows: page.assets, next: page.next };
    });

  describe('scans', () => {
    it('give assets of any status by key, in pages', async () => {
      const scene = someScene();
      const { project } = scene;
      const [ready, failed, deleted] = ['a', 'b', 'c'].map((name) =>
        someCommit(scene, { s3Key: `projects/${project}/${name}` }),
      ) as [Commit, Commit, Commit];
      await served().commit([ready, deleted]);
      await served().apply(someUpdate(failed.facts, { status: 'error', error: ERROR }));
      await served().service.mutation(api.assets.deleteAssetReferences, { assetIds: [deleted.facts.assetId] });
      const pages = await assets(`projects/${project}/`, 2);
      expect(pages.map((page) => page.length)).toEqual([2, 1]);
      const { assetId, entity, assetType, s3Key, batchId, jobId, createdAt } = ready.facts;
      const { size, checksum } = ready.stored;
      expect(pages.flat()).toEqual([
        {
          assetId,
          entity,
          assetType,
          s3Key,
          batchId,
          jobId,
          createdAt,
          status: 'ready',
          current: true,
          version: 1,
          size,
          checksum,
        },
        expect.objectContaining({ status: 'error', errorCode: ERROR.code }),
        expect.objectContaining({ status: 'deleted', version: 2 }),
      ]);
      expect(await assets(`projects/${project}/b`, 2)).toMatchObject([[{ assetId: failed.facts.assetId }]]);
      expect(await assets(`projects/${project}/d`, 2)).toEqual([[]]);
      expect(await codeOf(() => assets('', 1_001))).toBe('VALIDATION_FAILED');
      expect(await codeOf(() => assets('', 0))).toBe('VALIDATION_FAILED');
    });

    it('order keys by their bytes, whatever their letters and length', async () => {
      const scene = someScene();
      const long = `${'é'.repeat(400)}${'x'.repeat(100)}`;
      const names = [
        '',
        '\u0000',
        '!',
        'Z',
        'a',
        'a/b',
        'a0',
        'é',
        '￿',
        '\u{e000}',
        '\u{10000}',
        '\u{10ffff}',
        '\u{10ffff}z',
        '😀',
        `${long}a`,
        `${long}b`,
        long,
      ];
      const keys = names.map((name) => `projects/${scene.project}/${name}`);
      await served().commit(keys.map((s3Key) => someCommit(scene, { s3Key })));
      const prefix = `projects/${scene.project}/`;
      const byBytes = (of: string[]) => of.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect((await assets(prefix, 3)).flat().map(({ s3Key }) => s3Key)).toEqual(byBytes(keys));
      for (const name of ['a', 'é', '\u{10ffff}', '￿', long, `${long}a`]) {
        const under = keys.filter((key) => key.startsWith(prefix + name));
        expect((await assets(prefix + name, 2)).flat().map(({ s3Key }) => s3Key)).toEqual(byBytes(under));
      }
      expect(compareValues('￿', '\u{10000}')).toBe(-1);
    });

    it('give sessions with their totals', async () => {
      const { scene, ...session } = someScene();
      const clips = [1, 2].map((acceptedSeq) => someCommit({ ...session, scene }, { acceptedSeq }));
      await served().commit([...clips, someCommit({ ...session, scene: 'scene-2' })]);
      const count = { ...session, cursor: null, sum: { size: 0, count: 0 } };
      const counted = { cursor: null, sum: { size: 2_468, count: 2 } };
      const totals = async () => {
        const pages = await walk(async (after) => {
          const page = await served().service.query(api.sessions.scan, { limit: 3, ...after });
          return { rows: page.sessions, next: page.next };
        });
        return pages.flat().filter(({ project }) => project === session.project);
      };
      expect(await served().service.query(api.sessions.count, count)).toEqual(counted);
      expect(await totals()).toEqual([{ ...session, size: 0, count: 0 }]);
      expect(await served().service.mutation(api.sessions.recount, count)).toEqual(counted);
      expect(await totals()).toEqual([{ ...session, size: 2_468, count: 2 }]);
      const none = { ...count, session: 'none' };
      expect(await served().service.mutation(api.sessions.recount, none)).toEqual({ cursor: null, sum: count.sum });
    });

    it('keep what is quarantined, as it was noted first', async () => {
      const { project } = someScene();
      const objects = ['b', '\u{10000}', '￿', 'a'].map((name) => ({
        s3Key: `${project}/${name}`,
        assetId: name,
        reason: ERROR,
        at: 1,
      }));
      const [b, astral, last, a] = objects as [Quarantined, Quarantined, Quarantined, Quarantined];
      const put = (...of: Quarantined[]) => served().service.mutation(api.quarantine.put, { objects: of });
      await put(b, astral, last, a, b);
      await put({ ...b, at: 2 });
      const listed = async () => {
        const pages = await walk(async (after) => {
          const page = await served().service.query(api.quarantine.list, { limit: 2, ...after });
          return { rows: page.objects, next: page.next };
        });
        return pages.flat().filter(({ s3Key }) => s3Key.startsWith(project));
      };
      expect(await listed()).toEqual([a, b, last, astral]);
      await served().service.mutation(api.quarantine.remove, { s3Keys: [b.s3Key, 'unknown', b.s3Key] });
      expect(await listed()).toEqual([a, last, astral]);
    });
  });
}

type Commit = ReturnType<typeof someCommit>;
interface Quarantined {
  s3Key: string;
  assetId: string;
  reason: typeof ERROR;
  at: number;
}
