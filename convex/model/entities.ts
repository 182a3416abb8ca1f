import type { Doc, Id } from '../_generated/dataModel.js';
import type { MutationCtx, QueryCtx } from '../_generated/server.js';
import { type AssetsStatus, type AssetType, type EntityRef, SCENE_ASSET_TYPES, SESSION_ASSET_TYPES } from './fields.ts';

/** What assets belong to. */
export type Entity = Doc<'scenes'> | Doc<'sessions'>;

/** The field of a scene or session that shows the current asset of a type. */
export const REFERENCE_FIELD = {
  video_chunk: 'videoAsset',
  source_code: 'sourceCodeAsset',
  thumbnail: 'thumbnailAsset',
  subtitle: 'subtitleAsset',
  combined_video: 'combinedVideoAsset',
  combined_subtitle: 'combinedSubtitleAsset',
  manifest: 'manifestAsset',
} as const satisfies Record<AssetType, keyof Doc<'scenes'> | keyof Doc<'sessions'>>;

/** The types an entity can have: a scene's with a scene named, a session's without. */
export function typesOf(entity: { project: string; scene?: string }): readonly AssetType[] {
  return entity.scene === undefined ? SESSION_ASSET_TYPES : SCENE_ASSET_TYPES;
}

function findProject(ctx: QueryCtx, project: string) {
  return ctx.db
    .query('projects')
    .withIndex('by_project', (q) => q.eq('project', project))
    .unique();
}

/** The session by its callers' ids, or null. */
export function findSession(ctx: QueryCtx, project: string, session: string) {
  return ctx.db
    .query('sessions')
    .withIndex('by_project_and_session', (q) => q.eq('project', project).eq('session', session))
    .unique();
}

/** The scene by its callers' ids, or null. */
export function findScene(ctx: QueryCtx, project: string, session: string, scene: string) {
  return ctx.db
    .query('scenes')
    .withIndex('by_project_and_session_and_scene', (q) =>
      q.eq('project', project).eq('session', session).eq('scene', scene),
    )
    .unique();
}

/** The scene that `ref` names, or without one the session; null until it is made. */
export function findEntity(ctx: QueryCtx, { project, session, scene }: EntityRef): Promise<Entity | null> {
  return scene === undefined ? findSession(ctx, project, session) : findScene(ctx, project, session, scene);
}

/** Gives the entity, making it, its session and its project when missing; each entity is read once per opener. */
export function entityOpener(ctx: MutationCtx): (ref: EntityRef) => Promise<Entity> {
  const opened = new Map<string, Promise<Entity>>();

  async function make(ref: EntityRef): Promise<Entity> {
    const found = await findEntity(ctx, ref);
    if (found) return found;
    const { project, session, scene } = ref;
    const fresh = { project, session, assetsStatus: 'pending' as const, heads: {}, createdAt: Date.now() };
    if (scene === undefined) {
      if (!(await findProject(ctx, project))) await ctx.db.insert('projects', { project, createdAt: Date.now() });
      return present(ctx, await ctx.db.insert('sessions', { ...fresh, totalAssetSize: 0, assetCount: 0 }));
    }
    await open({ project, session });
    return present(ctx, await ctx.db.insert('scenes', { ...fresh, scene, assetVersion: 0, previousAssetVersions: [] }));
  }

  function open(ref: EntityRef): Promise<Entity> {
    const key = JSON.stringify([ref.project, ref.session, ref.scene]);
    const entity = opened.get(key) ?? make(ref);
    opened.set(key, entity);
    return entity;
  }
  return open;
}

async function present(ctx: MutationCtx, id: Id<'scenes'> | Id<'sessions'>): Promise<Entity> {
  const made = await ctx.db.get(id);
  if (!made) throw new Error('A document inserted in this transaction is not there.');
  return made;
}

/** The newest accepted asset of each type of the entity that is not deleted, in the order of types. */
export async function newestAssets(ctx: QueryCtx, entity: Entity): Promise<Doc<'assets'>[]> {
  const rows = await Promise.all(
    typesOf(entity).map((type) =>
      ctx.db
        .query('assets')
        .withIndex('by_entity_and_type_and_acceptedSeq', (q) => q.eq('entity', entity._id).eq('type', type))
        .order('desc')
        .first(),
    ),
  );
  return rows.filter((row): row is Doc<'assets'> => row !== null && row.status !== 'deleted');
}

/** The state an entity's assets give it. Without any asset it is `pending`. */
export async function assetsState(
  ctx: QueryCtx,
  entity: Entity,
): Promise<{ assetsStatus: AssetsStatus; assetsErrorMessage: string | undefined }> {
  const rows = await newestAssets(ctx, entity);
  const failed = rows.find((row) => row.status === 'error');
  if (failed) return { assetsStatus: 'error', assetsErrorMessage: failed.error?.message ?? 'The upload failed.' };
  const has = (status: AssetsStatus) => rows.some((row) => row.status === status);
  const assetsStatus = has('uploading') ? 'uploading' : has('pending') || rows.length === 0 ? 'pending' : 'ready';
  return { assetsStatus, assetsErrorMessage: undefined };
}

/** Brings the entity's state up to its assets; writes only a change, so that progress alone leaves the entity be. */
export async function refreshState(ctx: MutationCtx, entity: Entity): Promise<void> {
  const state = await assetsState(ctx, entity);
  if (state.assetsStatus === entity.assetsStatus && state.assetsErrorMessage === entity.assetsErrorMessage) return;
  await ctx.db.patch(entity._id, state);
}
