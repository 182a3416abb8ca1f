import { isDeepStrictEqual } from 'node:util';
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

/** What comes when, by the job's name; undefined for what does not come by itself. One may come while the one before is at work still. */
export type Schedules = { readonly [Name in JobName]?: Schedule<Name> | undefined };

/** All there are; `everyMs` of 0 leaves reconciliations to those who ask for them. */
export function schedulesOf(reconcile: { readonly everyMs: number; readonly repair: boolean }): Schedules {
  const { everyMs, repair } = reconcile;
  const data = { prefix: '', repair, force: false, requestedBy: 'schedule' };
  return {
    'dead-letter-sweep': { every: HOUR, data: {} },
    scrub: { every: HOUR, data: {} },
    reconcile: everyMs === 0 ? undefined : { every: everyMs, data },
  };
}

/** How often it is looked whether all are there: Redis may come late, or have lost them. */
const LOOK_EVERY = MINUTE;

/** Has each scheduled job come at its time, whichever worker is there then, until it is stopped; every worker does so. */
export function keepSchedules(
  queue: Queue,
  schedules: Schedules,
  now: () => number,
  onError: (error: unknown) => void,
): { stop(): void } {
  const all = Object.entries(schedules) as [JobName, Schedule<JobName> | undefined][];
  const look = () => void Promise.all(all.map(([name, one]) => schedule(queue, name, one, now()))).catch(onError);
  look();
  const timer = setInterval(look, LOOK_EVERY);
  return { stop: () => clearInterval(timer) };
}

/** One that is there as it should be keeps its next time. */
async function schedule(
  queue: Queue,
  name: JobName,
  wanted: Schedule<JobName> | undefined,
  now: number,
): Promise<void> {
  const known = await queue.getJobScheduler(name);
  if (!wanted) {
    if (known) await queue.removeJobScheduler(name);
    return;
  }
  const { every, data } = wanted;
  if (known?.every === every && isDeepStrictEqual(known.template?.data, data)) return;
  const opts = { attempts: JOBS[name].attempts, backoff: { type: 'catalog' } };
  await queue.upsertJobScheduler(name, { every, startDate: now + every }, { name, data, opts });
}
