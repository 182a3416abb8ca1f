import { expect, test } from 'vitest';
import { readConfig } from '#config';
import type { AppError } from '#errors';
import { createPatience } from './url-patience.ts';

const limits = {
  ...readConfig({}).urlOrigins,
  maxSeconds: 100,
  minBytesPerSecond: 10,
};
const tooSlow = expect.objectContaining({ code: 'ORIGIN_UNREADABLE' });

function patienceWithClock() {
  let now = 0;
  const patience = createPatience(limits, 60_000, () => now);
  return {
    patience,
    work: (ms: number) => {
      now += ms;
    },
    /** Waits `ms` for the origin. */
    wait(ms: number) {
      const origin = Promise.resolve().then(() => {
        now += ms;
      });
      return patience.during(origin, 60_000, () => undefined);
    },
  };
}

test('the least rate is judged over a minute of waiting, and then over the next', async () => {
  const { patience, wait } = patienceWithClock();
  await wait(59_000);
  patience.count(1);
  await wait(1_000);
  patience.count(599);
  await wait(30_000);
  patience.count(299);
  await wait(30_000);
  expect(() => patience.count(300)).toThrow(tooSlow);
});

test('time in which the reader is busy is not the origin’s', async () => {
  const { patience, wait, work } = patienceWithClock();
  await wait(1_000);
  work(10_000_000);
  patience.count(1);
  await expect(wait(1_000)).resolves.toBeUndefined();
});

test('a read gives up once it waited as long as one may in all, however lively the origin is', async () => {
  const { patience, wait } = patienceWithClock();
  for (let second = 0; second < 100; second += 1) {
    await wait(1_000);
    patience.count(1_000);
  }
  const silent = Promise.withResolvers<void>();
  await expect(patience.during(silent.promise, 60_000, (why: AppError) => silent.reject(why))).rejects.toMatchObject({
    code: 'ORIGIN_UNREADABLE',
    message: 'The URL was not read within 100 s of waiting.',
  });
});
