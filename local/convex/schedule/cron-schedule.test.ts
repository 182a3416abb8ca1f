import { expect, test } from 'vitest';
import { type CronSchedule, firstTime, nextTime } from './cron-schedule.ts';

const at = (text: string) => Date.parse(text);
const iso = (time: number) => new Date(time).toISOString();
/** A Wednesday. */
const NOW = at('2026-11-25T10:20:30.500Z');

test.each<[CronSchedule, string, string]>([
  [{ type: 'interval', seconds: 30 }, '2026-11-25T10:20:30.500Z', '2026-11-25T10:21:00.500Z'],
  [{ type: 'interval', hours: 2 }, '2026-11-25T10:20:30.500Z', '2026-11-25T12:20:30.500Z'],
  [{ type: 'hourly', minuteUTC: 15 }, '2026-11-25T11:15:00.000Z', '2026-11-25T12:15:00.000Z'],
  [{ type: 'daily', hourUTC: 10, minuteUTC: 21 }, '2026-11-25T10:21:00.000Z', '2026-11-26T10:21:00.000Z'],
  [
    { type: 'weekly', dayOfWeek: 'tuesday', hourUTC: 3, minuteUTC: 0 },
    '2026-12-01T03:00:00.000Z',
    '2026-12-08T03:00:00.000Z',
  ],
  [{ type: 'monthly', day: 31, hourUTC: 0, minuteUTC: 5 }, '2026-12-31T00:05:00.000Z', '2027-01-31T00:05:00.000Z'],
  [{ type: 'cron', cron: '*/20 9-17 * * 1-5' }, '2026-11-25T10:40:00.000Z', '2026-11-25T11:00:00.000Z'],
  [{ type: 'cron', cron: '0 0 29 2 *' }, '2028-02-29T00:00:00.000Z', '2032-02-29T00:00:00.000Z'],
])('%j runs first at %s, then at %s', (schedule, first, second) => {
  const time = firstTime(schedule, 'name', NOW);
  expect(iso(time)).toBe(first);
  expect(iso(nextTime(schedule, 'name', time, time + 5))).toBe(second);
});

test('runs that were missed are left out', () => {
  const schedule: CronSchedule = { type: 'interval', minutes: 1 };
  expect(iso(nextTime(schedule, 'name', NOW, NOW + 150_000))).toBe('2026-11-25T10:23:30.500Z');
  expect(iso(nextTime(schedule, 'name', NOW, NOW + 60_000))).toBe('2026-11-25T10:22:30.500Z');
});

test('a cron without a minute has always the same', () => {
  const minute = (name: string) => new Date(firstTime({ type: 'hourly' }, name, NOW)).getUTCMinutes();
  expect(minute('one')).toBe(minute('one'));
  expect(new Set(['one', 'two', 'three', 'four'].map(minute)).size).toBeGreaterThan(1);
});

test.each(['@daily', '* * * * * *', '61 * * * *', 'x * * * *', ''])(
  '"%s" is refused by the name of its cron',
  (cron) => {
    expect(() => firstTime({ type: 'cron', cron }, 'clean up', NOW)).toThrow(`Cron "clean up": "${cron}"`);
  },
);
