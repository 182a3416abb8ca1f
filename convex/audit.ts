import { paginationOptsValidator, paginationResultValidator } from 'convex/server';
import { v } from 'convex/values';
import { mutation, query } from './_generated/server.js';
import { requireService } from './model/access.ts';
import { auditEntry } from './model/fields.ts';
import { limit } from './model/limit.ts';

const MOST = 200;

/** Service. Adds entries in their order; one that is there already stays as it is. Nothing changes or deletes them. */
export const append = mutation({
  args: { entries: v.array(auditEntry) },
  returns: v.null(),
  handler: async (ctx, { entries }) => {
    await requireService(ctx);
    limit(entries, MOST);
    for (const entry of entries) {
      const known = await ctx.db
        .query('audit')
        .withIndex('by_entryId', (q) => q.eq('entryId', entry.entryId))
        .unique();
      if (!known) await ctx.db.insert('audit', entry);
    }
    return null;
  },
});

/** Service. Entries, the newest first: of one target, else of one project, else all. */
export const list = query({
  args: { target: v.optional(v.string()), project: v.optional(v.string()), paginationOpts: paginationOptsValidator },
  returns: paginationResultValidator(auditEntry),
  handler: async (ctx, { target, project, paginationOpts }) => {
    await requireService(ctx);
    const audit = ctx.db.query('audit');
    const chosen =
      target !== undefined
        ? audit.withIndex('by_target_and_at', (q) => q.eq('target', target))
        : project !== undefined
          ? audit.withIndex('by_project_and_at', (q) => q.eq('project', project))
          : audit.withIndex('by_at');
    const { page, ...rest } = await chosen.order('desc').paginate(paginationOpts);
    return { ...rest, page: page.map(({ _id, _creationTime, ...entry }) => entry) };
  },
});
