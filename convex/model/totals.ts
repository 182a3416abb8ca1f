import { type Infer, v } from 'convex/values';
import type { Doc } from '../_generated/dataModel.js';
import type { MutationCtx, QueryCtx } from '../_generated/server.js';
import { findSession } from './entities.ts';

/** Bytes and number of a session's current assets, its scenes' included. */
const totals = v.object({ size: v.number(), count: v.number() });
type Totals = Infer<typeof totals>;

export const sessionTotals = v.object({ project: v.string(), session: v.string(), ...totals.fields });

const cursor = v.union(v.string(), v.null());
/** A step of counting a session: where the one before ended, and what it had summed. */
export const countStep = { project: v.string(), session: v.string(), cursor, sum: totals };
export const countResult = v.object({ cursor, sum: totals });

interface Session {
  readonly project: string;
  readonly session: string;
}

/** Assets that one step reads. */
const PAGE = 1_000;

export function viewTotals({ project, session, totalAssetSize, assetCount }: Doc<'sessions'>): Session & Totals {
  return { project, session, size: totalAssetSize, count: assetCount };
}

/** Adds a page of the session's current assets to `sum`. */
export async function countPage(
  ctx: QueryCtx,
  { project, session, cursor, sum }: Session & { readonly cursor: string | null; readonly sum: Totals },
): Promise<Infer<typeof countResult>> {
  const { page, isDone, continueCursor } = await ctx.db
    .query('assets')
    .withIndex('by_project_and_session_and_current', (q) =>
      q.eq('project', project).eq('session', session).eq('current', true),
    )
    .paginate({ cursor, numItems: PAGE });
  const size = page.reduce((total, asset) => total + (asset.size ?? 0), sum.size);
  return { cursor: isDone ? null : continueCursor, sum: { size, count: sum.count + page.length } };
}

/** Writes only a change, so that those who watch the session hear nothing else. */
export async function writeTotals(
  ctx: MutationCtx,
  { project, session }: Session,
  { size, count }: Totals,
): Promise<void> {
  const row = await findSession(ctx, project, session);
  if (!row || (row.totalAssetSize === size && row.assetCount === count)) return;
  await ctx.db.patch(row._id, { totalAssetSize: size, assetCount: count });
}
