import type { Doc } from '../_generated/dataModel.js';
import type { MutationCtx } from '../_generated/server.js';
import { findAssets } from './assets.ts';
import { REFERENCE_FIELD, refreshState } from './entities.ts';

/** Marks the rows `deleted` and takes the assets out of what scenes and sessions show. Gives the ids that had a row. */
export async function deleteReferences(ctx: MutationCtx, assetIds: readonly string[]): Promise<string[]> {
  const rows = await findAssets(ctx, assetIds);
  for (const row of rows.values()) if (row.status !== 'deleted') await deleteOne(ctx, row);
  return [...rows.keys()];
}

async function deleteOne(ctx: MutationCtx, row: Doc<'assets'>): Promise<void> {
  const gone = { status: 'deleted' as const, current: false, s3Url: undefined, urlExpiresAt: undefined };
  await ctx.db.patch(row._id, { ...gone, nextRetryAt: undefined });
  const entity = await ctx.db.get(row.entity);
  if (!entity) return;
  if (row.current) await ctx.db.patch(entity._id, { [REFERENCE_FIELD[row.type]]: undefined });
  if ('scene' in entity) {
    const left = entity.previousAssetVersions.filter((version) => version.assetId !== row.assetId);
    if (left.length < entity.previousAssetVersions.length) {
      await ctx.db.patch(entity._id, { previousAssetVersions: left });
    }
  }
  await refreshState(ctx, entity);
}
