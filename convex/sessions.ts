import { v } from 'convex/values';
import { mutation, query } from './_generated/server.js';
import { refusal, requireMember, requireService } from './model/access.ts';
import { viewAsset } from './model/assets.ts';
import { entityOpener, findSession, newestAssets } from './model/entities.ts';
import { countPage, countResult, countStep, sessionTotals, viewTotals, writeTotals } from './model/totals.ts';
import { sessionView, viewSession } from './model/views.ts';

const MOST_SCANNED = 500;

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

/** Service. Sessions with their totals, a page in an order that stays; `next` is the `after` of the next page, null at the end. */
export const scan = query({
  args: { after: v.optional(v.string()), limit: v.number() },
  returns: v.object({ sessions: v.array(sessionTotals), next: v.union(v.string(), v.null()) }),
  handler: async (ctx, { after, limit }) => {
    await requireService(ctx);
    if (limit > MOST_SCANNED) throw refusal('VALIDATION_FAILED', `A page has at most ${MOST_SCANNED}, not ${limit}.`);
    const { page, isDone, continueCursor } = await ctx.db
      .query('sessions')
      .withIndex('by_project_and_session')
      .paginate({ cursor: after ?? null, numItems: limit });
    return { sessions: page.map(viewTotals), next: isDone ? null : continueCursor };
  },
});

/**
 * Service. Sums the current assets of the session and its scenes, a page a call: the caller starts with `sum` zero and no
 * cursor, and hands back what it got until `cursor` is null. A session that does not exist has none.
 */
export const count = query({
  args: countStep,
  returns: countResult,
  handler: async (ctx, step) => {
    await requireService(ctx);
    return countPage(ctx, step);
  },
});

/**
 * Service. The same, and at its end the totals are written where they differ. What is committed meanwhile may be missed
 * until the next recount.
 */
export const recount = mutation({
  args: countStep,
  returns: countResult,
  handler: async (ctx, step) => {
    await requireService(ctx);
    const result = await countPage(ctx, step);
    if (result.cursor === null) await writeTotals(ctx, step, result.sum);
    return result;
  },
});
