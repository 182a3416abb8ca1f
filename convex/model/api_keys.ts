import type { QueryCtx } from '../_generated/server.js';

/** The key, revoked and expired ones too, or null. */
export function findApiKey(ctx: QueryCtx, keyId: string) {
  return ctx.db
    .query('apiKeys')
    .withIndex('by_keyId', (q) => q.eq('keyId', keyId))
    .unique();
}
