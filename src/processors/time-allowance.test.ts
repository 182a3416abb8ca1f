import { afterEach, expect, it, vi } from 'vitest';
import { watchTime } from './time-allowance.ts';

const allowance = { baseMs: 10_000, bytesPerSecond: 1_000 };

afterEach(() => vi.useRealTimers());

/** Watches on a clock of its own. */
function watch() {
  vi.useFakeTimers();
  return watchTime(allowance, () => Date.now());
}

it('ends what does not move after the base time', () => {
  const { signal } = watch();
  vi.advanceTimersByTime(9_999);
  expect(signal.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  expect(signal.reason).toMatchObject({ code: 'TIMED_OUT', retryable: true, details: { bytes: 0, seconds: 10 } });
});

it('gives a second more for as many bytes as must move in one', () => {
  const { signal, moved } = watch();
  moved(5_000);
  vi.advanceTimersByTime(14_999);
  expect(signal.aborted).toBe(false);
  moved(7_000);
  vi.advanceTimersByTime(2_000);
  expect(signal.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  expect(signal.reason).toMatchObject({ details: { bytes: 7_000, seconds: 17 } });
});

it('never takes time back, and ends nothing once it is stopped', () => {
  const { signal, moved, stop } = watch();
  moved(5_000);
  moved(1);
  vi.advanceTimersByTime(14_000);
  expect(signal.aborted).toBe(false);
  stop();
  vi.advanceTimersByTime(100_000);
  expect(signal.aborted).toBe(false);
});
