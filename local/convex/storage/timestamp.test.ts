import { expect, test } from 'vitest';
import { encodeTimestamp, startClock } from './timestamp.ts';

test('timestamps and creation times rise, though the wall clock stands behind the last ones', () => {
  const ahead = (BigInt(Date.now()) + 3_600_000n) * 1_000_000n;
  const clock = startClock(ahead);
  expect(clock.latest).toBeGreaterThan(ahead);
  const timestamps = [clock.latest, clock.next(), clock.next()];
  expect(new Set(timestamps).size).toBe(3);
  expect(timestamps).toEqual([...timestamps].sort((one, other) => (one < other ? -1 : 1)));
  const times = [clock.creationTime(), clock.creationTime(), clock.creationTime()];
  expect(times[0]).toBeGreaterThan(Number(ahead / 1_000_000n));
  expect(new Set(times).size).toBe(3);
  expect(times).toEqual([...times].sort((one, other) => one - other));
});

test('a new clock is at the wall clock', () => {
  const now = BigInt(Date.now()) * 1_000_000n;
  expect(startClock(0n).latest).toBeGreaterThanOrEqual(now);
});

test('a timestamp travels as eight bytes, lowest first', () => {
  expect(encodeTimestamp(0n)).toBe('AAAAAAAAAAA=');
  expect(Buffer.from(encodeTimestamp(258n), 'base64')).toEqual(Buffer.from([2, 1, 0, 0, 0, 0, 0, 0]));
});
