import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import type { ErrorFacts } from '#errors';
import type { Metadata } from '#metadata/metadata.ts';
import { someCommit, someFacts, someScene, someUpdate } from '../asset-facts.ts';

const REASON: ErrorFacts = {
  code: 'OBJECT_MISSING',
  message: 'Gone.',
  retryable: true,
  nextAction: '',
  details: { size: 1 },
};

/** What the port promises to those who compare it with a store and repair it. */
export function describeRepairs(metadata: () => Metadata): void {
  it('scans assets by key, in pages', async () => {
    const scene = someScene();
    const { project } = scene;
    const ready = someCommit(scene, { s3Key: `projects/${project}/a` });
    const failed = someFacts(scene, { s3Key: `projects/${project}/b` });
    await metadata().commit([ready]);
    await metadata().applyStatuses([someUpdate(failed, { status: 'error', error: REASON })]);
    const prefix = `projects/${project}/`;
    const first = await metadata().scanAssets(prefix, { limit: 1 });
    const { assetId, assetType, s3Key, batchId, jobId, createdAt } = ready.facts;
    const { size, checksum } = ready.stored;
    const facts = { assetId, entity: scene, assetType, s3Key, batchId, jobId, createdAt };
    expect(first.assets).toEqual([{ ...facts, status: 'ready', current: true, version: 1, size, checksum }]);
    const rest = await metadata().scanAssets(prefix, { limit: 2, after: first.next });
    expect(rest).toMatchObject({ assets: [{ assetId: failed.assetId, status: 'error', errorCode: REASON.code }] });
    expect(rest.next).toBeUndefined();
    await expect(metadata().scanAssets(prefix, { limit: 1_001 })).rejects.toMatchObject({ code: 'METADATA_REJECTED' });
  });

  it('withdraws what is ready, until it is committed again', async () => {
    const scene = someScene();
    const items = [1, 2].map((acceptedSeq) => someCommit(scene, { acceptedSeq }));
    const committed = await metadata().commit(items);
    const withdrawals = items.map(({ facts, stored }) => ({
      assetId: facts.assetId,
      checksum: stored.checksum,
      error: REASON,
    }));
    const [older = fail(), newer = fail()] = withdrawals;
    expect(await metadata().withdraw([newer, { ...older, checksum: 'cd'.repeat(32) }])).toEqual([newer.assetId]);
    expect(await metadata().withdraw([newer])).toEqual([]);
    const status = async () => {
      const rows = await metadata().getAssets(withdrawals.map(({ assetId }) => assetId));
      return rows.toSorted((a, b) => a.acceptedSeq - b.acceptedSeq);
    };
    expect(await status()).toMatchObject([
      { status: 'ready', current: true },
      { status: 'error', current: false, error: REASON },
    ]);
    expect(await metadata().commit(items)).toEqual(committed);
    expect(await status()).toMatchObject([
      { status: 'ready', current: false, version: 1 },
      { status: 'ready', current: true, version: 2 },
    ]);
  });

  it('counts sessions, and lists them with their totals', async () => {
    const { scene, ...session } = someScene();
    const { project } = session;
    await metadata().commit([1, 2].map(() => someCommit({ ...session, scene: randomUUID() })));
    const totals = { size: 2_468, count: 2 };
    const listed = async () => {
      const found = [];
      let after: string | undefined;
      do {
        const page = await metadata().scanSessions({ after, limit: 2 });
        found.push(...page.sessions.filter((one) => one.project === project));
        after = page.next;
      } while (after !== undefined);
      return found;
    };
    expect(await metadata().countSession(project, session.session, { write: false })).toEqual(totals);
    expect(await listed()).toEqual([{ ...session, size: 0, count: 0 }]);
    expect(await metadata().countSession(project, session.session, { write: true })).toEqual(totals);
    expect(await listed()).toEqual([{ ...session, ...totals }]);
    expect(await metadata().countSession(project, 'none', { write: true })).toEqual({ size: 0, count: 0 });
  });

  it('keeps what is quarantined', async () => {
    const s3Key = `projects/${randomUUID()}/a`;
    const objects = [
      { s3Key, assetId: 'a-1', reason: REASON, at: 1 },
      { s3Key: `${s3Key}b`, reason: { ...REASON, code: 'CHECKSUM_MISMATCH' as const }, at: 2 },
    ];
    await metadata().putQuarantined(objects.map((object) => ({ assetId: undefined, ...object })));
    await metadata().putQuarantined(objects.map((object) => ({ ...object, at: 3 })));
    const page = { after: s3Key.slice(0, -1), limit: 2 };
    expect((await metadata().listQuarantined(page)).objects).toEqual(objects);
    const first = await metadata().listQuarantined({ ...page, limit: 1 });
    expect(first.next).toBe(s3Key);
    await metadata().removeQuarantined([s3Key]);
    expect((await metadata().listQuarantined({ ...page, limit: 1 })).objects).toEqual(objects.slice(1));
  });
}

function fail(): never {
  throw new Error('Nothing was committed.');
}
