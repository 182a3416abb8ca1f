import { JOBS, type JobName } from './catalog.ts';
import type { Lanes } from './lanes.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Jobs that come by themselves, all without data, and how often in milliseconds. */
const SCHEDULES = { 'dead-letter-sweep': HOUR } as const satisfies Partial<Record<JobName, number>>;

/**
 * Has each scheduled job come at its time, whichever worker is there then; said by every worker at its start. The first
 * one comes after `now`, in milliseconds since the epoch, by as much as they are apart. Runs may overlap.
 */
export async function keepSchedules(lanes: Pick<Lanes, 'maintenance'>, now: number): Promise<void> {
  for (const [name, every] of Object.entries(SCHEDULES) as [keyof typeof SCHEDULES, number][]) {
    const opts = { attempts: JOBS[name].attempts, backoff: { type: 'catalog' } };
    await lanes.maintenance.upsertJobScheduler(name, { every, startDate: now + every }, { name, data: {}, opts });
  }
}
