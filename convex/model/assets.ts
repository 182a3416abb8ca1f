import { type Infer, v } from 'convex/values';
import type { Doc } from '../_generated/dataModel.js';
import type { QueryCtx } from '../_generated/server.js';
import { assetStatus, assetType, encryption, entityRef, errorFacts, metadataText, visibility } from './fields.ts';

/** An asset as readers see it. Fields of the stored object are absent until it is `ready`. */
export const assetView = v.object({
  assetId: v.string(),
  entity: entityRef,
  assetType,
  filename: v.string(),
  contentType: v.string(),
  s3Key: v.string(),
  acceptedSeq: v.number(),
  visibility,
  metadata: metadataText,
  batchId: v.string(),
  correlationId: v.string(),
  createdBy: v.string(),
  createdAt: v.number(),
  status: assetStatus,
  progress: v.number(),
  attempt: v.number(),
  maxAttempts: v.number(),
  nextRetryAt: v.optional(v.number()),
  error: v.optional(errorFacts),
  current: v.boolean(),
  version: v.optional(v.number()),
  size: v.optional(v.number()),
  checksum: v.optional(v.string()),
  s3Url: v.optional(v.string()),
  urlExpiresAt: v.optional(v.number()),
  encryption: v.optional(encryption),
  uploadedAt: v.optional(v.number()),
});
export type AssetView = Infer<typeof assetView>;

export function viewAsset(row: Doc<'assets'>): AssetView {
  const { _id, _creationTime, entity, fence, becameCurrent, jobId, s3VersionId, verifiedBy, ...rest } = row;
  const { project, session, scene, type, ...shown } = rest;
  return { ...shown, assetType: type, entity: { project, session, ...(scene !== undefined && { scene }) } };
}

export function findAsset(ctx: QueryCtx, assetId: string): Promise<Doc<'assets'> | null> {
  return ctx.db
    .query('assets')
    .withIndex('by_assetId', (q) => q.eq('assetId', assetId))
    .unique();
}

/** The rows there are of the ids, each once. */
export async function findAssets(ctx: QueryCtx, assetIds: readonly string[]): Promise<Map<string, Doc<'assets'>>> {
  const rows = await Promise.all([...new Set(assetIds)].map((assetId) => findAsset(ctx, assetId)));
  return new Map(rows.flatMap((row) => (row ? [[row.assetId, row]] : [])));
}
