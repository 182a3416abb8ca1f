import { expect, test } from 'vitest';
import { createRate } from './rate.ts';

test('the rate is that of the last seconds, and tells the time left', () => {
  let now = 0;
  const rate = createRate(() => now);
  rate.add(0);
  expect([rate.text(), rate.left(1)]).toEqual(['0 bytes/s', '–']);
  for (now = 1_000; now <= 60_000; now += 1_000) rate.add(now * 1_024);
  now -= 1_000;
  expect(rate.text()).toBe('1000.0 KiB/s');
  expect([10, 200, 8_000].map((seconds) => rate.left(seconds * 1_024_000))).toEqual([
    '10 s',
    '3 min 20 s',
    '2 h 13 min',
  ]);
  expect(rate.left(0)).toBe('0 s');
});

test('a line that stands still has no time left to tell', () => {
  let now = 0;
  const rate = createRate(() => now);
  for (; now <= 5_000; now += 50) rate.add(now);
  for (; now <= 60_000; now += 1_000) rate.add(5_000);
  expect([rate.text(), rate.left(1)]).toEqual(['0 bytes/s', '–']);
});
