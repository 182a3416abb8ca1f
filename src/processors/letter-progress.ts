import type { Place } from '#queues/dead-letters.ts';
import { readLetterRun } from '#queues/letter-runs.ts';
import type { Run } from './run.ts';

/** How far a job has come with its dead letters, noted in its facts. */
export interface LetterProgress {
  /** Where an earlier start left off. */
  readonly place: Place | undefined;
  /** So many more were dealt with, and so many were no dead letters any more. */
  add(done: number, skipped: number): Promise<void>;
  /** The next page begins at `place`; undefined when all is done. */
  passed(place: Place | undefined): Promise<void>;
}

/** Reads what earlier starts of the run's job have noted. */
export async function openLetterProgress(run: Run): Promise<LetterProgress> {
  const earlier = readLetterRun(await run.facts.read());
  let { done, skipped } = earlier;
  return {
    place: earlier.place,
    async add(more, without) {
      if (more + without === 0) return;
      done += more;
      skipped += without;
      await run.facts.write({ done: String(done), skipped: String(skipped) });
    },
    async passed(place) {
      if (place) await run.facts.write({ place: JSON.stringify(place) });
    },
  };
}
