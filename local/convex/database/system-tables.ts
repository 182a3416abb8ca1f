import type { DeclaredIndexes } from '#local/convex/storage/tables.ts';

export const SCHEDULED_FUNCTIONS = '_scheduled_functions';
export const CRON_JOBS = '_cron_jobs';
/** Index of both by state and time: what waits lies together, in the order of its time. */
export const BY_STATE = 'by_state';
/** Index of `_scheduled_functions` by the time they ended. */
export const BY_COMPLETED = 'by_completed';

/** The engine's own tables, with their indexes. Functions read them by `ctx.db.system`. */
export const SYSTEM_TABLES: Readonly<Record<string, DeclaredIndexes>> = {
  [SCHEDULED_FUNCTIONS]: { [BY_STATE]: ['state.kind', 'scheduledTime'], [BY_COMPLETED]: ['completedTime'] },
  [CRON_JOBS]: { [BY_STATE]: ['state', 'nextTime'] },
};
