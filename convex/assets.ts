import { paginationOptsValidator, paginationResultValidator } from 'convex/server';
import { v } from 'convex/values';
import { mutation, query } from './_generated/server.js';
import { requireIdentity, requireMember, requireService } from './model/access.ts';
import { assetView, findAsset, findAssets, viewAsset } from './model/assets.ts';
import { commitAssets, commitResult } from './model/commit.ts';
import { deleteReferences } from './model/deletion.ts';
import { findEntity } from './model/entities.ts';
import { assetType, entityRef } from './model/fields.ts';
import { limit } from './model/limit.ts';
import { scanAssets, scannedAsset } from './model/scan.ts';
import { applyStatuses as apply, statusUpdate } from './model/statuses.ts';
import { withdrawAssets, withdrawal } from './model/withdrawal.ts';

const MOST_WRITES = 500;
const MOST_WITHDRAWALS = 200;
const MOST_READS = 1_000;

/** Service. Commits stored files, each item judged by itself: see `commitAssets`. */
export const batchUpdateAssets = mutation({
  args: { items: v.array(v.any()) },
  returns: v.array(commitResult),
  handler: async (ctx, { items }) => {
    await requireService(ctx);
    limit(items, MOST_WRITES);
    return commitAssets(ctx, items);
  },
});

/** Service. The same for the files of one scene. */
export const updateSceneAssets = mutation({
  args: { project: v.string(), session: v.string(), scene: v.string(), items: v.array(v.any()) },
  returns: v.array(commitResult),
  handler: async (ctx, { items, ...scene }) => {
    await requireService(ctx);
    limit(items, MOST_WRITES);
    return commitAssets(ctx, items, scene);
  },
});

/** Service. The same for the files of one session. */
export const updateSessionAssets = mutation({
  args: { project: v.string(), session: v.string(), items: v.array(v.any()) },
  returns: v.array(commitResult),
  handler: async (ctx, { items, ...session }) => {
    await requireService(ctx);
    limit(items, MOST_WRITES);
    return commitAssets(ctx, items, session);
  },
});

/** Service. Applies fenced status writes; old news is ignored. */
export const applyStatuses = mutation({
  args: { updates: v.array(statusUpdate) },
  returns: v.null(),
  handler: async (ctx, { updates }) => {
    await requireService(ctx);
    limit(updates, MOST_WRITES);
    await apply(ctx, updates);
    return null;
  },
});

/** Service. Takes assets out of service whose objects are not what their rows say: see `withdrawAssets`. */
export const withdraw = mutation({
  args: { items: v.array(withdrawal) },
  returns: v.array(v.string()),
  handler: async (ctx, { items }) => {
    await requireService(ctx);
    limit(items, MOST_WITHDRAWALS);
    return withdrawAssets(ctx, items);
  },
});

/** Service. Marks assets deleted; what shows them forgets them in the same transaction. */
export const deleteAssetReferences = mutation({
  args: { assetIds: v.array(v.string()) },
  returns: v.object({ deleted: v.array(v.string()) }),
  handler: async (ctx, { assetIds }) => {
    await requireService(ctx);
    limit(assetIds, MOST_WRITES);
    return { deleted: await deleteReferences(ctx, assetIds) };
  },
});

/** Members and service. The asset, or null until its row has arrived. */
export const get = query({
  args: { assetId: v.string() },
  returns: v.union(assetView, v.null()),
  handler: async (ctx, { assetId }) => {
    const row = await findAsset(ctx, assetId);
    if (row) await requireMember(ctx, row.project, 'viewer');
    else await requireIdentity(ctx);
    return row && viewAsset(row);
  },
});

/** Service. The assets there are of the ids, in any order. */
export const getMany = query({
  args: { assetIds: v.array(v.string()) },
  returns: v.array(assetView),
  handler: async (ctx, { assetIds }) => {
    await requireService(ctx);
    limit(assetIds, MOST_READS);
    return [...(await findAssets(ctx, assetIds)).values()].map(viewAsset);
  },
});

/** Service. Assets whose key begins with `prefix` and follows `after`, by key; `next` is null at the end. */
export const scan = query({
  args: { prefix: v.string(), after: v.optional(v.string()), limit: v.number() },
  returns: v.object({ assets: v.array(scannedAsset), next: v.union(v.string(), v.null()) }),
  handler: async (ctx, { prefix, ...page }) => {
    await requireService(ctx);
    return scanAssets(ctx, prefix, page);
  },
});

/**
 * Members and service. The current assets of a scene or session; with `history` all of them, by type, newest
 * version first within a type, those without a version last.
 */
export const getAssetsByEntity = query({
  args: {
    ...entityRef.fields,
    assetType: v.optional(assetType),
    history: v.optional(v.boolean()),
    paginationOpts: paginationOptsValidator,
  },
  returns: paginationResultValidator(assetView),
  handler: async (ctx, { assetType: type, history, paginationOpts, ...ref }) => {
    await requireMember(ctx, ref.project, 'viewer');
    const entity = await findEntity(ctx, ref);
    if (!entity) return { page: [], isDone: true, continueCursor: '' };
    const assets = ctx.db.query('assets');
    const chosen = history
      ? assets
          .withIndex('by_entity_and_type_and_version', (q) => {
            const ofEntity = q.eq('entity', entity._id);
            return type ? ofEntity.eq('type', type) : ofEntity;
          })
          .order('desc')
      : assets.withIndex('by_entity_and_current_and_type', (q) => {
          const currentOnes = q.eq('entity', entity._id).eq('current', true);
          return type ? currentOnes.eq('type', type) : currentOnes;
        });
    const { page, ...rest } = await chosen.paginate(paginationOpts);
    return { ...rest, page: page.map(viewAsset) };
  },
});
