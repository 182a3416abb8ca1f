import { type Infer, v } from 'convex/values';
import type { Doc } from '../_generated/dataModel.js';
import type { MutationCtx } from '../_generated/server.js';
import { refusal } from './access.ts';
import { findAsset, findAssets } from './assets.ts';
import { type Entity, entityOpener, refreshState, typesOf } from './entities.ts';
import { assetFacts, errorFacts, fence } from './fields.ts';

export const statusUpdate = v.object({
  facts: assetFacts,
  fence,
  status: v.union(v.literal('pending'), v.literal('uploading'), v.literal('error')),
  progress: v.number(),
  size: v.optional(v.number()),
  attempt: v.number(),
  maxAttempts: v.number(),
  nextRetryAt: v.optional(v.number()),
  error: v.optional(errorFacts),
});
type StatusUpdate = Infer<typeof statusUpdate>;

/** Applies what is news, making rows that are missing; old news and writes to `ready` or `deleted` rows are ignored. */
export async function applyStatuses(ctx: MutationCtx, updates: readonly StatusUpdate[]): Promise<void> {
  const open = entityOpener(ctx);
  const rows = await findAssets(
    ctx,
    updates.map(({ facts }) => facts.assetId),
  );
  const written = new Set<string>();
  const touched = new Map<Entity['_id'], Entity>();
  for (const update of updates) {
    const { assetId } = update.facts;
    const row = written.has(assetId) ? await findAsset(ctx, assetId) : rows.get(assetId);
    if (row && !isNews(update, row)) continue;
    written.add(assetId);
    const entity = await open(update.facts.entity);
    if (row) await ctx.db.patch(row._id, changeOf(update, row));
    else await insert(ctx, update, entity);
    touched.set(entity._id, entity);
  }
  for (const entity of touched.values()) await refreshState(ctx, entity);
}

function isNews(update: StatusUpdate, row: Doc<'assets'>): boolean {
  return row.status !== 'ready' && row.status !== 'deleted' && compareFences(update.fence, row.fence) > 0;
}

/** Left to right, a missing part counting as 0. */
function compareFences(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function changeOf(update: StatusUpdate, row: Doc<'assets'>) {
  const sameGeneration = update.fence[0] === row.fence[0];
  return {
    status: update.status,
    fence: update.fence,
    // Another attempt begins again from nothing; those who watch should not see it fall.
    progress: sameGeneration ? Math.max(row.progress, update.progress) : update.progress,
    attempt: update.attempt,
    maxAttempts: update.maxAttempts,
    nextRetryAt: update.nextRetryAt,
    error: update.error,
    size: update.size ?? row.size,
  };
}

async function insert(ctx: MutationCtx, { facts, ...state }: StatusUpdate, entity: Entity): Promise<void> {
  const { entity: ref, assetType, ...rest } = facts;
  if (!typesOf(ref).includes(assetType)) {
    throw refusal('VALIDATION_FAILED', `Asset ${facts.assetId}: ${assetType} does not belong to this entity.`);
  }
  await ctx.db.insert('assets', { ...rest, ...ref, ...state, entity: entity._id, type: assetType, current: false });
}
