import type { Queue } from 'bullmq';
import { JOBS, type JobData, type JobName } from './catalog.ts';

/** A job that comes by itself, in lane `maintenance`. */
interface Schedule<Name extends JobName> {
  /** Milliseconds from one to the next; the first comes that long after it was scheduled. */
  readonly every: number;
  readonly data: JobData<Name>;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** What comes when, by the job's name. One may come while the one before is at work still. */
export const SCHEDULES = {
  'dead-letter-sweep': { every: HOUR, data: {} },
  scrub: { every: HOUR, data: {} },
} as const satisfies { readonly [Name in JobName]?: Schedule<Name> };

/** How often it is looked whether all are there: Redis may come late, or have lost them. */
const LOOK_EVERY = MINUTE;

/** Has each scheduled job come at its time, whichever worker is there then, until it is stopped; every worker does so. */
export function keepSchedules(queue: Queue, now: () => number, onError: (error: unknown) => void): { stop(): void } {
  const names = Object.keys(SCHEDULES) as (keyof typeof SCHEDULES)[];
  const look = () => void Promise.all(names.map((name) => schedule(queue, name, now()))).catch(onError);
  look();
  const timer = setInterval(look, LOOK_EVERY);
  return { stop: () => clearInterval(timer) };
}

/** One that is there keeps its next time. */
async function schedule(queue: Queue, name: keyof typeof SCHEDULES, now: number): Promise<void> {
  const { every, data } = SCHEDULES[name];
  const known = await queue.getJobScheduler(name);
  if (known?.every === every) return;
  const opts = { attempts: JOBS[name].attempts, backoff: { type: 'catalog' } };
  await queue.upsertJobScheduler(name, { every, startDate: now + every }, { name, data, opts });
}
