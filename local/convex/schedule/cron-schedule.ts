import { createHash } from 'node:crypto';
import { CronExpressionParser } from 'cron-parser';

const DAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

/** A schedule as `cronJobs()` exports it. All times are UTC. */
export type CronSchedule =
  | { readonly type: 'interval'; readonly seconds?: number; readonly minutes?: number; readonly hours?: number }
  | { readonly type: 'hourly'; readonly minuteUTC?: number }
  | { readonly type: 'daily'; readonly hourUTC: number; readonly minuteUTC?: number }
  | { readonly type: 'weekly'; readonly dayOfWeek: string; readonly hourUTC: number; readonly minuteUTC?: number }
  | { readonly type: 'monthly'; readonly day: number; readonly hourUTC: number; readonly minuteUTC?: number }
  | { readonly type: 'cron'; readonly cron: string };

/** When a cron runs first: an interval at once, as on Convex. Milliseconds; throws for a cron string that is none. */
export function firstTime(schedule: CronSchedule, name: string, now: number): number {
  return schedule.type === 'interval' ? now : nextInCalendar(schedule, name, now);
}

/** When a cron that was due at `last` runs next after `now`: runs that were missed meanwhile are left out. */
export function nextTime(schedule: CronSchedule, name: string, last: number, now: number): number {
  if (schedule.type !== 'interval') return nextInCalendar(schedule, name, Math.max(last, now));
  const { seconds = 0, minutes = 0, hours = 0 } = schedule;
  const period = ((hours * 60 + minutes) * 60 + seconds) * 1000;
  return last + Math.max(1, Math.floor((now - last) / period) + 1) * period;
}

function nextInCalendar(schedule: Exclude<CronSchedule, { type: 'interval' }>, name: string, after: number): number {
  const expression = schedule.type === 'cron' ? schedule.cron : expressionOf(schedule, name);
  // The parser would take seconds and names like @daily, Convex does not.
  if (expression.trim().split(/\s+/).length !== 5) {
    throw new Error(`Cron "${name}": "${expression}" must have five fields, like "15 7 * * *".`);
  }
  try {
    return CronExpressionParser.parse(expression, { currentDate: after, tz: 'UTC' }).next().getTime();
  } catch (error) {
    throw new Error(
      `Cron "${name}": "${expression}" is no cron string: ${error instanceof Error ? error.message : error}`,
      {
        cause: error,
      },
    );
  }
}

function expressionOf(schedule: Exclude<CronSchedule, { type: 'interval' | 'cron' }>, name: string): string {
  const minute = schedule.minuteUTC ?? minuteFor(name);
  switch (schedule.type) {
    case 'hourly':
      return `${minute} * * * *`;
    case 'daily':
      return `${minute} ${schedule.hourUTC} * * *`;
    case 'weekly':
      return `${minute} ${schedule.hourUTC} * * ${DAYS.indexOf(schedule.dayOfWeek)}`;
    case 'monthly':
      return `${minute} ${schedule.hourUTC} ${schedule.day} * *`;
  }
}

/** A cron without a minute has one of its own, so that not all run at once. */
function minuteFor(name: string): number {
  return createHash('sha256').update(name).digest().readUInt32BE() % 60;
}
