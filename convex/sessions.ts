import { v } from 'convex/values';
import { mutation, query } from './_generated/server.js';
import { refusal, requireMember, requireService } from './model/access.ts';
import { viewAsset } from './model/assets.ts';
import { entityOpener, findSession, newestAssets } from './model/entities.ts';
import { sessionView, viewSession } from './model/views.ts';

/** Assets that one step of a recount reads. */
const RECOUNT_PAGE = 1_000;

/** Members and service. The session and its newest asset of each type; null until it exists. */
export const watch = query({
  args: { project: v.string(), session: v.string() },
  returns: v.union(sessionView, v.null()),
  handler: async (ctx, { project, session }) => {
    await requireMember(ctx, project, 'viewer');
    const row = await findSession(ctx, project, session);
    return row && viewSession(row, (await newestAssets(ctx, row)).map(viewAsset));
  },
});

/** Service. Creates the session, and its project, or changes its name; `created` tells which. */
export const upsert = mutation({
  args: { project: v.string(), session: v.string(), name: v.optional(v.string()) },
  returns: v.object({ created: v.boolean() }),
  handler: async (ctx, { project, session, name }) => {
    await requireService(ctx);
    const created = (await findSession(ctx, project, session)) === null;
    const { _id } = await entityOpener(ctx)({ project, session });
    if (name !== undefined) await ctx.db.patch(_id, { name });
    return { created };
  },
});

/**
 * Service. Sums the current assets of the session and its scenes, a page a transaction: the caller starts with
 * `sum` zero and no cursor, and hands back what it got until `cursor` is null; then the totals are written. What is
 * committed meanwhile may be missed until the next recount.
 */
export const recount = mutation({
  args: {
    project: v.string(),
    session: v.string(),
    cursor: v.union(v.string(), v.null()),
    sum: v.object({ size: v.number(), count: v.number() }),
  },
  returns: v.object({
    cursor: v.union(v.string(), v.null()),
    sum: v.object({ size: v.number(), count: v.number() }),
  }),
  handler: async (ctx, { project, session, cursor, sum }) => {
    await requireService(ctx);
    const row = await findSession(ctx, project, session);
    if (!row) throw refusal('NOT_FOUND', `There is no session ${session} in project ${project}.`);
    const { page, isDone, continueCursor } = await ctx.db
      .query('assets')
      .withIndex('by_project_and_session_and_current', (q) =>
        q.eq('project', project).eq('session', session).eq('current', true),
      )
      .paginate({ cursor, numItems: RECOUNT_PAGE });
    const size = page.reduce((total, asset) => total + (asset.size ?? 0), sum.size);
    const count = sum.count + page.length;
    if (isDone) await ctx.db.patch(row._id, { totalAssetSize: size, assetCount: count });
    return { cursor: isDone ? null : continueCursor, sum: { size, count } };
  },
});
