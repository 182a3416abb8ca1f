import { type Infer, v } from 'convex/values';
import type { Doc } from '../_generated/dataModel.js';
import type { MutationCtx } from '../_generated/server.js';
import { findAssets } from './assets.ts';
import { referenceOf } from './commit_rows.ts';
import { type Entity, REFERENCE_FIELD, refreshState } from './entities.ts';
import { type AssetReference, type AssetType, errorFacts } from './fields.ts';

export const withdrawal = v.object({ assetId: v.string(), checksum: v.string(), error: errorFacts });
type Withdrawal = Infer<typeof withdrawal>;

/** What an entity lost: the assets, and the types whose current one is among them. */
interface Loss {
  readonly assetIds: Set<string>;
  readonly types: Set<AssetType>;
}

/**
 * Takes assets out of service that are `ready` under the checksum named, each with its error; gives their ids. What showed
 * them shows the newest accepted one that is ready still.
 */
export async function withdrawAssets(ctx: MutationCtx, items: readonly Withdrawal[]): Promise<string[]> {
  const rows = await findAssets(
    ctx,
    items.map(({ assetId }) => assetId),
  );
  const losses = new Map<Entity['_id'], Loss>();
  const withdrawn = new Set<string>();
  for (const { assetId, checksum, error } of items) {
    const row = rows.get(assetId);
    if (row?.status !== 'ready' || row.checksum !== checksum || withdrawn.has(assetId)) continue;
    withdrawn.add(assetId);
    await ctx.db.patch(row._id, outOfService(row, error));
    const loss = losses.get(row.entity) ?? { assetIds: new Set(), types: new Set() };
    losses.set(row.entity, loss);
    loss.assetIds.add(assetId);
    if (row.current) loss.types.add(row.type);
  }
  for (const [id, loss] of losses) {
    const entity = await ctx.db.get(id);
    if (entity) await stepBack(ctx, entity, loss);
  }
  return [...withdrawn];
}

/** Version, size and checksum stay: a later commit of the same bytes makes it ready again under them. */
function outOfService(row: Doc<'assets'>, error: Withdrawal['error']) {
  return {
    status: 'error' as const,
    error,
    current: false,
    progress: 0,
    s3Url: undefined,
    urlExpiresAt: undefined,
    // Whatever status the upload wrote before is old news now; only a later generation may say more.
    fence: [row.fence[0] ?? 0, Number.MAX_SAFE_INTEGER],
  };
}

async function stepBack(ctx: MutationCtx, entity: Entity, { assetIds, types }: Loss): Promise<void> {
  const heads = { ...entity.heads };
  const shown: Record<string, AssetReference | undefined> = {};
  for (const type of types) {
    const newest = await newestReady(ctx, entity, type);
    if (newest) {
      await ctx.db.patch(newest._id, { current: true });
      assetIds.add(newest.assetId);
    }
    shown[REFERENCE_FIELD[type]] = newest && referenceOf(newest);
    // It falls here alone: what was withdrawn may become current again, and so may whatever is newer than what is shown.
    heads[type] = { version: heads[type]?.version ?? 0, currentSeq: newest?.acceptedSeq ?? 0 };
  }
  const change = { ...shown, heads };
  if ('scene' in entity) {
    const previousAssetVersions = entity.previousAssetVersions.filter(({ assetId }) => !assetIds.has(assetId));
    await ctx.db.patch(entity._id, { ...change, previousAssetVersions });
  } else await ctx.db.patch(entity._id, change);
  await refreshState(ctx, entity);
}

async function newestReady(ctx: MutationCtx, entity: Entity, type: AssetType): Promise<Doc<'assets'> | undefined> {
  const row = await ctx.db
    .query('assets')
    .withIndex('by_entity_and_type_and_status_and_acceptedSeq', (q) =>
      q.eq('entity', entity._id).eq('type', type).eq('status', 'ready'),
    )
    .order('desc')
    .first();
  return row ?? undefined;
}
