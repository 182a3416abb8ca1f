import { v } from 'convex/values';
import { mutation, query } from './_generated/server.js';
import { requireMember, requireService } from './model/access.ts';
import { viewAsset } from './model/assets.ts';
import { entityOpener, findScene, newestAssets } from './model/entities.ts';
import { sceneView, viewScene } from './model/views.ts';

/** Members and service. The scene and its newest asset of each type; null until it exists. */
export const watch = query({
  args: { project: v.string(), session: v.string(), scene: v.string() },
  returns: v.union(sceneView, v.null()),
  handler: async (ctx, { project, session, scene }) => {
    await requireMember(ctx, project, 'viewer');
    const row = await findScene(ctx, project, session, scene);
    return row && viewScene(row, (await newestAssets(ctx, row)).map(viewAsset));
  },
});

/** Service. Creates the scene, its session and project, or changes its name; `created` tells which. */
export const upsert = mutation({
  args: { project: v.string(), session: v.string(), scene: v.string(), name: v.optional(v.string()) },
  returns: v.object({ created: v.boolean() }),
  handler: async (ctx, { project, session, scene, name }) => {
    await requireService(ctx);
    const created = (await findScene(ctx, project, session, scene)) === null;
    const { _id } = await entityOpener(ctx)({ project, session, scene });
    if (name !== undefined) await ctx.db.patch(_id, { name });
    return { created };
  },
});
