import { refusal } from './access.ts';

/** Refuses more than `most` things in one call with `VALIDATION_FAILED`: more would come near the limits of a transaction. */
export function limit(list: readonly unknown[], most: number): void {
  if (list.length > most) throw refusal('VALIDATION_FAILED', `At most ${most} a call, not ${list.length}.`);
}
