import { type Infer, v } from 'convex/values';
import type { Doc } from '../_generated/dataModel.js';
import type { QueryCtx } from '../_generated/server.js';
import { assetFacts, assetState } from './fields.ts';

/** An asset as readers see it. */
export const assetView = v.object({ ...assetFacts.omit('jobId').fields, ...assetState.fields });
export type AssetView = Infer<typeof assetView>;

/** The row without what only commits and status writes need, its entity by the callers' ids. */
export function viewAsset(row: Doc<'assets'>): AssetView {
  const { _id, _creationTime, entity, fence, becameCurrent, jobId, s3VersionId, verifiedBy, ...rest } = row;
  const { project, session, scene, type, ...shown } = rest;
  return { ...shown, assetType: type, entity: { project, session, ...(scene !== undefined && { scene }) } };
}

/** The asset's row, deleted ones too, or null until one arrives. */
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
