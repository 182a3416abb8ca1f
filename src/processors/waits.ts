const SECOND = 1_000;
const TEN_MINUTES = 600 * SECOND;
const DAY = 86_400 * SECOND;

/**
 * Wait before asking a dependency that is away again, in milliseconds: 5 s ± 2 s for ten minutes, then
 * 60 s; undefined after a day, when waiting ends. `random` is 0 to 1.
 */
export function waitWhileAway(awayForMs: number, random: number): number | undefined {
  if (awayForMs > DAY) return undefined;
  return awayForMs < TEN_MINUTES ? shortWait(random) : 60 * SECOND;
}

/** 5 s ± 2 s, in milliseconds; `random` is 0 to 1. */
export function shortWait(random: number): number {
  return Math.round((3 + 4 * random) * SECOND);
}

/** Wait before attempt `attempt + 1`, in milliseconds: doubled from `first` up to `last`, less up to half of it. */
export function waitAfterAttempt(attempt: number, backoff: { first: number; last: number }, random: number): number {
  return Math.round(Math.min(backoff.last, backoff.first * 2 ** (attempt - 1)) * (1 - random / 2));
}
