import { v } from 'convex/values';
import { mutation, type QueryCtx, query } from './_generated/server.js';
import { requireService } from './model/access.ts';
import { quarantinedObject } from './model/fields.ts';
import { firstPage, nextAfter } from './model/keys.ts';
import { limit } from './model/limit.ts';

const MOST_WRITES = 200;
const MOST_READS = 500;

/** Service. Notes objects that are kept out of service; what is noted already stays as it is. */
export const put = mutation({
  args: { objects: v.array(quarantinedObject) },
  returns: v.null(),
  handler: async (ctx, { objects }) => {
    await requireService(ctx);
    limit(objects, MOST_WRITES);
    for (const object of objects) {
      if (!(await findQuarantined(ctx, object.s3Key))) await ctx.db.insert('quarantine', object);
    }
    return null;
  },
});

/** Service. What is quarantined and follows the key `after`, by key; `next` is the `after` of the next page, null at the end. */
export const list = query({
  args: { after: v.optional(v.string()), limit: v.number() },
  returns: v.object({ objects: v.array(quarantinedObject), next: v.union(v.string(), v.null()) }),
  handler: async (ctx, page) => {
    await requireService(ctx);
    const { after } = page;
    const quarantine = ctx.db.query('quarantine');
    const found = await quarantine
      .withIndex('by_s3Key', (q) => (after === undefined ? q : q.gt('s3Key', after)))
      .paginate(firstPage(page, MOST_READS));
    return { objects: found.page.map(({ _id, _creationTime, ...object }) => object), next: nextAfter(found) };
  },
});

/** Service. Forgets what is in service again, or gone. */
export const remove = mutation({
  args: { s3Keys: v.array(v.string()) },
  returns: v.null(),
  handler: async (ctx, { s3Keys }) => {
    await requireService(ctx);
    limit(s3Keys, MOST_WRITES);
    for (const s3Key of s3Keys) {
      const known = await findQuarantined(ctx, s3Key);
      if (known) await ctx.db.delete(known._id);
    }
    return null;
  },
});

function findQuarantined(ctx: QueryCtx, s3Key: string) {
  return ctx.db
    .query('quarantine')
    .withIndex('by_s3Key', (q) => q.eq('s3Key', s3Key))
    .unique();
}
