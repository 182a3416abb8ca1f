import { v } from 'convex/values';
import { mutation, query } from './_generated/server.js';
import { findMember, requireService } from './model/access.ts';
import { memberRole } from './model/fields.ts';

/** Service. The role of a person in a project, or null. */
export const find = query({
  args: { project: v.string(), subject: v.string() },
  returns: v.union(memberRole, v.null()),
  handler: async (ctx, { project, subject }) => {
    await requireService(ctx);
    return (await findMember(ctx, project, subject))?.role ?? null;
  },
});

/** Service. Gives a person a role in a project, in place of the one they had. */
export const put = mutation({
  args: { project: v.string(), subject: v.string(), role: memberRole },
  returns: v.null(),
  handler: async (ctx, member) => {
    await requireService(ctx);
    const row = await findMember(ctx, member.project, member.subject);
    if (row) await ctx.db.patch(row._id, { role: member.role });
    else await ctx.db.insert('members', member);
    return null;
  },
});
