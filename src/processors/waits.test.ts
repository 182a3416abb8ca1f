import { describe, expect, it } from 'vitest';
import { waitAfterAttempt, waitWhileAway } from './waits.ts';

describe('waitWhileAway', () => {
  it('is 5 s ± 2 s for ten minutes, then 60 s, and ends after a day', () => {
    expect([waitWhileAway(0, 0), waitWhileAway(599_999, 1)]).toEqual([3_000, 7_000]);
    expect(waitWhileAway(600_000, 0.5)).toBe(60_000);
    expect(waitWhileAway(86_400_000, 0.5)).toBe(60_000);
    expect(waitWhileAway(86_400_001, 0.5)).toBeUndefined();
  });
});

describe('waitAfterAttempt', () => {
  const backoff = { first: 1_000, last: 60_000 };
  it('doubles from the first to the last wait', () => {
    expect([1, 2, 3, 7, 50].map((attempt) => waitAfterAttempt(attempt, backoff, 0))).toEqual([
      1_000, 2_000, 4_000, 60_000, 60_000,
    ]);
  });
  it('takes off up to half by chance', () => {
    expect(waitAfterAttempt(1, backoff, 1)).toBe(500);
  });
});
