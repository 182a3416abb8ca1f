import type { ChosenLetters } from '#queues/catalog.ts';
import type { DeadLetter } from '#queues/dead-letter-page.ts';
import type { DeadLetters } from '#queues/dead-letters.ts';
import { type LetterProgress, openLetterProgress } from './letter-progress.ts';
import { createPace, type Pace } from './pace.ts';
import type { Processor, Run } from './run.ts';

interface ReplayPorts {
  readonly deadLetters: Pick<DeadLetters, 'pages' | 'replay'>;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonic: () => number;
}

/**
 * Starts dead letters again, at their pace. What it has come to is noted after each step, and another start goes on from
 * there; one replayed twice is no dead letter the second time.
 */
export function replayProcessor({ deadLetters, monotonic }: ReplayPorts): Processor<'replay'> {
  return async ({ chosen, perSecond }, run) => {
    const progress = await openLetterProgress(run);
    const pace = createPace(perSecond, monotonic);
    for await (const { letters, next } of deadLetters.pages(chosen, progress.place)) {
      await replayPage(letters, { deadLetters, chosen, progress, pace, run });
      await progress.passed(next);
    }
    return { end: 'done' };
  };
}

interface Replaying extends Pick<ReplayPorts, 'deadLetters'> {
  readonly chosen: ChosenLetters;
  readonly progress: LetterProgress;
  readonly pace: Pace;
  readonly run: Run;
}

async function replayPage(letters: readonly DeadLetter[], replaying: Replaying): Promise<void> {
  const { deadLetters, chosen, progress, pace, run } = replaying;
  const stopping = AbortSignal.any([run.signal, run.park]);
  const give = async (due: readonly DeadLetter[]) => {
    const replayed = await deadLetters.replay(due, chosen.failedBy);
    await progress.add(replayed, due.length - replayed);
  };
  const given: Promise<void>[] = [];
  try {
    for (let at = 0; at < letters.length; ) {
      const due = letters.slice(at, at + (await pace.take(letters.length - at, stopping)));
      at += due.length;
      // Each is given out when it is due, whether or not the one before has come to its end.
      const giving = give(due);
      giving.catch(() => undefined);
      given.push(giving);
    }
  } finally {
    await Promise.allSettled(given);
  }
  await Promise.all(given);
}
