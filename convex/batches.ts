import { v } from 'convex/values';
import type { Doc } from './_generated/dataModel.js';
import { type MutationCtx, mutation, type QueryCtx, query } from './_generated/server.js';
import { requireIdentity, requireMember, requireService } from './model/access.ts';
import { type BatchRecord, batchRecord } from './model/fields.ts';
import { limit } from './model/limit.ts';

const MOST = 500;
const RANK = { accepted: 0, running: 1, done: 2 } as const;

/** Members and service. The batch, or null until its record has arrived. */
export const watch = query({
  args: { batchId: v.string() },
  returns: v.union(batchRecord, v.null()),
  handler: async (ctx, { batchId }) => {
    const row = await findBatch(ctx, batchId);
    if (!row) {
      await requireIdentity(ctx);
      return null;
    }
    await requireMember(ctx, row.project, 'viewer');
    const { _id, _creationTime, ...record } = row;
    return record;
  },
});

/** Service. Creates or updates batch records; one that knows less than the row is ignored. */
export const apply = mutation({
  args: { updates: v.array(batchRecord) },
  returns: v.null(),
  handler: async (ctx, { updates }) => {
    await requireService(ctx);
    limit(updates, MOST);
    for (const update of updates) await applyOne(ctx, update);
    return null;
  },
});

async function applyOne(ctx: MutationCtx, update: BatchRecord): Promise<void> {
  const row = await findBatch(ctx, update.batchId);
  if (!row) await ctx.db.insert('batches', update);
  else if (isNews(update, row)) await ctx.db.replace(row._id, update);
}

/** Ready files only grow in number; a replay may lower the failed ones, and shows once a file of it is ready. */
function isNews(update: BatchRecord, row: Doc<'batches'>): boolean {
  const steps = [update.ready - row.ready, update.failed - row.failed, RANK[update.state] - RANK[row.state]];
  return (steps.find((step) => step !== 0) ?? 0) > 0;
}

function findBatch(ctx: QueryCtx, batchId: string) {
  return ctx.db
    .query('batches')
    .withIndex('by_batchId', (q) => q.eq('batchId', batchId))
    .unique();
}
