import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiKey, AuditEntry, Metadata } from '#metadata/metadata.ts';
import packageJson from '#package' with { type: 'json' };
import { someCommit, someFacts, someScene, someUpdate } from '../asset-facts.ts';
import { describeRepairs } from './metadata-repairs.ts';

/** The promises of the metadata port, for any adapter. */
export function metadataContract(
  name: string,
  open: () => Promise<{ metadata: Metadata; close: () => Promise<void> }>,
): void {
  describe(`metadata on ${name}`, () => {
    let metadata: Metadata;
    let close: (() => Promise<void>) | undefined;
    beforeAll(async () => {
      ({ metadata, close } = await open());
    });
    afterAll(() => close?.());

    it('answers a check', async () => {
      await expect(metadata.check()).resolves.toBeUndefined();
      await expect(metadata.version()).resolves.toBe(packageJson.version);
    });

    it('commits each item with its own result, in order, and repeats the same answers', async () => {
      const scene = someScene();
      const items = [someCommit(scene), someCommit(scene, { acceptedSeq: 0 }), someCommit(scene, { acceptedSeq: 2 })];
      const results = await metadata.commit(items);
      expect(results).toMatchObject([
        { ok: true, version: 1, current: true },
        { ok: false, error: { code: 'VALIDATION_FAILED', retryable: false, nextAction: expect.any(String) } },
        { ok: true, version: 2, current: true },
      ]);
      expect(results.map((result) => result.assetId)).toEqual(items.map((item) => item.facts.assetId));
      expect(await metadata.commit(items)).toEqual(results);
    });

    it('gives rows as readers see them', async () => {
      const scene = someScene();
      const metadataOfCaller = { $price: 1, _id: 'x', título: ['«ü»', null, { '': 0.5 }] };
      const item = someCommit(scene, { metadata: metadataOfCaller });
      const { facts, stored, url, uploadedAt } = item;
      const encryption = { algorithm: 'aws:kms', keyId: 'k-1', bucketKey: true };
      const lock = { mode: 'GOVERNANCE', until: 1_800_000_000_000 } as const;
      await metadata.commit([{ ...item, stored: { ...stored, encryption, lock, versionId: 'v1' } }]);
      const { jobId: _, ...known } = facts;
      const [row] = await metadata.getAssets([facts.assetId, 'unknown']);
      expect(row).toEqual({
        ...known,
        ...url,
        s3Key: stored.s3Key,
        size: stored.size,
        checksum: stored.checksum,
        encryption,
        lock,
        uploadedAt,
        status: 'ready',
        progress: 1,
        attempt: 2,
        maxAttempts: 3,
        current: true,
        version: 1,
      });
    });

    it('applies status writes, ignoring stale ones', async () => {
      const facts = someFacts(someScene());
      const error = {
        code: 'EMPTY_FILE' as const,
        message: 'No bytes.',
        retryable: false,
        nextAction: '',
        details: {},
      };
      await metadata.applyStatuses([someUpdate(facts, { fence: [0, 2, 1], status: 'error', error, nextRetryAt: 5 })]);
      await metadata.applyStatuses([someUpdate(facts, { fence: [0, 1, 9], progress: 0.9 })]);
      expect(await metadata.getAssets([facts.assetId])).toMatchObject([
        { status: 'error', error, nextRetryAt: 5, current: false, attempt: 1, maxAttempts: 3 },
      ]);
    });

    it('lists the assets of an entity in pages', async () => {
      const scene = someScene();
      await metadata.commit([1, 2, 3].map((acceptedSeq) => someCommit(scene, { acceptedSeq })));
      const first = await metadata.listAssets(scene, { history: true, limit: 2 });
      expect(first.assets.map((asset) => asset.version)).toEqual([3, 2]);
      const rest = await metadata.listAssets(scene, { history: true, limit: 2, cursor: first.next });
      expect(rest.assets.map((asset) => asset.version)).toEqual([1]);
      expect(rest.next).toBeUndefined();
      const { assets } = await metadata.listAssets(scene, { assetType: 'video_chunk', limit: 2 });
      expect(assets.map((asset) => asset.version)).toEqual([3]);
      expect(await metadata.listAssets(scene, { assetType: 'thumbnail', limit: 2 })).toMatchObject({ assets: [] });
      const { project, session } = scene;
      expect((await metadata.listAssets({ project, session }, { history: true, limit: 2 })).assets).toEqual([]);
    });

    it('creates sessions and scenes once', async () => {
      const { project, session, scene } = someScene();
      expect(await metadata.upsertScene(project, session, scene, { name: undefined })).toEqual({ created: true });
      expect(await metadata.upsertScene(project, session, scene, { name: 'One' })).toEqual({ created: false });
      expect(await metadata.upsertSession(project, session, {})).toEqual({ created: false });
      expect(await metadata.upsertSession(project, 'another', {})).toEqual({ created: true });
    });

    it('keeps keys, members and batches', async () => {
      const key: ApiKey = {
        keyId: randomUUID(),
        secretHash: 'h',
        name: 'agent',
        scopes: ['assets:read', 'assets:write'],
        projects: ['demo'],
        createdAt: 1,
      };
      expect(await metadata.findApiKey(key.keyId)).toBeUndefined();
      await metadata.putApiKey({ ...key, revokedAt: undefined });
      expect(await metadata.findApiKey(key.keyId)).toEqual(key);

      expect(await metadata.findMember(key.keyId, 'ada')).toBeUndefined();
      await metadata.putMember(key.keyId, 'ada', 'viewer');
      expect(await metadata.findMember(key.keyId, 'ada')).toBe('viewer');

      const batch = { batchId: key.keyId, project: 'demo', owner: 'k', total: 1, ready: 1, failed: 0, createdAt: 1 };
      await expect(metadata.applyBatches([{ ...batch, state: 'done' }])).resolves.toBeUndefined();
    });

    it('keeps flags', async () => {
      const flag = { name: randomUUID(), percentage: 50, projects: ['demo'] };
      await metadata.putFlag({ ...flag, environments: undefined });
      expect(await metadata.listFlags()).toContainEqual(flag);
      await expect(metadata.putFlag({ ...flag, percentage: 101 })).rejects.toMatchObject({ code: 'METADATA_REJECTED' });
    });

    it('takes entries of the audit, repeated ones too', async () => {
      const entry: AuditEntry = {
        entryId: randomUUID(),
        at: 1,
        actor: { kind: 'agent', id: 'k-1' },
        action: 'keys.revoke',
        target: 'k-2',
        details: { $why: ['lost'] },
        correlationId: 'c-1',
      };
      await metadata.appendAudit([entry, { ...entry, entryId: randomUUID(), project: 'demo' }]);
      await expect(metadata.appendAudit([entry])).resolves.toBeUndefined();
      const many = Array.from({ length: 201 }, () => ({ ...entry, entryId: randomUUID() }));
      await expect(metadata.appendAudit(many)).rejects.toMatchObject({ code: 'METADATA_REJECTED' });
    });

    describeRepairs(() => metadata);

    it('refuses a call as a whole with METADATA_REJECTED', async () => {
      const items = Array.from({ length: 501 }, () => someCommit(someScene()));
      await expect(metadata.commit(items)).rejects.toMatchObject({ code: 'METADATA_REJECTED' });
    });
  });
}
