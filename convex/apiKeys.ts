import { v } from 'convex/values';
import { mutation, query } from './_generated/server.js';
import { requireService } from './model/access.ts';
import { findApiKey } from './model/api_keys.ts';
import { apiKey } from './model/fields.ts';

/** Service. The key, revoked and expired ones too, or null. */
export const find = query({
  args: { keyId: v.string() },
  returns: v.union(apiKey, v.null()),
  handler: async (ctx, { keyId }) => {
    await requireService(ctx);
    const row = await findApiKey(ctx, keyId);
    if (!row) return null;
    const { _id, _creationTime, ...key } = row;
    return key;
  },
});

/** Service. Creates the key or replaces it. */
export const put = mutation({
  args: apiKey.fields,
  returns: v.null(),
  handler: async (ctx, key) => {
    await requireService(ctx);
    const row = await findApiKey(ctx, key.keyId);
    if (row) await ctx.db.replace(row._id, key);
    else await ctx.db.insert('apiKeys', key);
    return null;
  },
});
