import { describe, expect, it } from 'vitest';
import { createPace } from './pace.ts';

const { signal } = new AbortController();

/** A pace by a clock that the test sets, in milliseconds. */
async function begun(perSecond: number) {
  let at = 0;
  const pace = createPace(perSecond, () => at);
  const stopped = AbortSignal.abort('not yet');
  await pace.take(1, stopped).catch(() => undefined);
  at = 1;
  return {
    /** What is due at `ms`. */
    async at(ms: number, most = 10_000) {
      at = ms;
      return pace.take(most, signal);
    },
  };
}

describe('a pace', () => {
  it('gives out what the clock says, and makes up for being late', async () => {
    const pace = await begun(500);
    expect(await pace.at(100)).toBe(50);
    expect(await pace.at(150)).toBe(25);
    expect(await pace.at(600)).toBe(225);
    expect(await pace.at(700, 20)).toBe(20);
    expect(await pace.at(700)).toBe(30);
  });

  it('makes up for a second of standing still at the most', async () => {
    const pace = await begun(100);
    expect(await pace.at(60_000, 10)).toBe(10);
    expect(await pace.at(60_000)).toBe(100);
    expect(await pace.at(60_100)).toBe(10);
  });

  it('gives less than one a second, too', async () => {
    const pace = await begun(0.5);
    expect(await pace.at(2_000)).toBe(1);
    expect(await pace.at(4_500)).toBe(1);
  });

  it('ends with the reason of its signal', async () => {
    const stop = new AbortController();
    const waiting = createPace(0.001, () => 0).take(1, stop.signal);
    stop.abort('parked');
    await expect(waiting).rejects.toBe('parked');
  });
});
