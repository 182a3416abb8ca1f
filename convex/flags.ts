import { v } from 'convex/values';
import { mutation, query } from './_generated/server.js';
import { refusal, requireService } from './model/access.ts';
import { flag } from './model/fields.ts';

/** All flags fit one answer, since every process keeps them all. */
const MOST = 1_000;

/** Service. Every flag there is. */
export const list = query({
  args: {},
  returns: v.array(flag),
  handler: async (ctx) => {
    await requireService(ctx);
    return (await ctx.db.query('flags').take(MOST)).map(({ _id, _creationTime, ...shown }) => shown);
  },
});

/** Service. Creates the flag or replaces it. Refuses a percentage outside 0 to 100, and more flags than one answer holds. */
export const put = mutation({
  args: flag.fields,
  returns: v.null(),
  handler: async (ctx, wanted) => {
    await requireService(ctx);
    if (!(wanted.percentage >= 0 && wanted.percentage <= 100)) {
      throw refusal('VALIDATION_FAILED', `A percentage is from 0 to 100, not ${wanted.percentage}.`);
    }
    const row = await ctx.db
      .query('flags')
      .withIndex('by_name', (q) => q.eq('name', wanted.name))
      .unique();
    if (row) {
      await ctx.db.replace(row._id, wanted);
      return null;
    }
    if ((await ctx.db.query('flags').take(MOST)).length === MOST) {
      throw refusal('CONFLICT', `There are ${MOST} flags already, the most there can be.`);
    }
    await ctx.db.insert('flags', wanted);
    return null;
  },
});
