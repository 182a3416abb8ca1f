import { randomUUID } from 'node:crypto';
import type { FunctionArgs } from 'convex/server';
import type { api } from '#convex/_generated/api.js';
import type { AssetFacts, EntityRef } from '#domain';
import type { ErrorFacts } from '#errors';
import type { AssetCommit } from '#metadata/metadata.ts';

type Update = FunctionArgs<typeof api.assets.applyStatuses>['updates'][number];

/** A project of a test's own, with one scene. */
export function someScene(): { project: string; session: string; scene: string } {
  return { project: `p-${randomUUID()}`, session: 's-1', scene: 'scene-1' };
}

/** Facts of a file as intake makes them. */
export function someFacts(entity: EntityRef, own: Partial<AssetFacts> = {}) {
  const assetId = own.assetId ?? randomUUID();
  return {
    assetId,
    entity: entity as { project: string; session: string; scene?: string },
    assetType: 'video_chunk' as const,
    filename: 'clip.mp4',
    contentType: 'video/mp4',
    s3Key: `projects/${entity.project}/${assetId}/clip.mp4`,
    acceptedSeq: 1,
    visibility: 'private' as const,
    metadata: { take: 1 },
    batchId: 'b-1',
    jobId: 'b-1-0',
    correlationId: 'c-1',
    createdBy: 'k-1',
    createdAt: 1_700_000_000_000,
    ...own,
  };
}

/** A stored file, ready to be committed. */
export function someCommit(entity: EntityRef, own: Partial<AssetFacts> = {}): AssetCommit {
  const facts = someFacts(entity, own);
  return {
    facts,
    stored: { s3Key: facts.s3Key, size: 1_234, checksum: 'ab'.repeat(32), verifiedBy: 'checksum' },
    url: { s3Url: `https://store.example/${facts.s3Key}`, urlExpiresAt: 1_700_003_600_000 },
    uploadedAt: 1_700_000_001_000,
    attempt: 2,
    maxAttempts: 3,
  };
}

/** A status write of the first start of a job. */
export function someUpdate(
  facts: AssetFacts,
  own: Partial<Omit<Update, 'facts' | 'fence' | 'error'>> & {
    fence?: [number, number, number];
    error?: ErrorFacts;
  } = {},
) {
  return {
    facts: facts as Update['facts'] & AssetFacts,
    fence: [0, 1, 1] as [number, number, number],
    status: 'uploading' as const,
    progress: 0,
    attempt: 1,
    maxAttempts: 3,
    ...own,
  };
}
