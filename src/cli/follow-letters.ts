import { setTimeout as pause } from 'node:timers/promises';
import { SingleBar } from 'cli-progress';
import type { LettersPlanned, ReplayRun } from '#client/node.ts';
import type { Context } from './context.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { groupsText } from './letter-tables.ts';
import { count, type Output } from './output.ts';

/** How far a replay or a discard has come, whichever it is. */
type Run = Omit<ReplayRun, 'replayed'>;

interface Following<R extends Run> {
  /** `replaying`, for people. */
  readonly doing: string;
  /** How many are done, and the word for that. */
  readonly done: (run: R) => [number, string];
  readonly get: (jobId: string) => Promise<R>;
}

const EVERY = 500;

/** Follows a replay or a discard to its end. It goes on without us when we are interrupted, which is said. */
export async function followLetters<R extends Run>(
  { output, signal }: Context,
  begun: R,
  { doing, done, get }: Following<R>,
): Promise<ExitCode> {
  const bar = openBar(output, doing, begun.total);
  let run = begun;
  try {
    while (run.state !== 'completed' && run.state !== 'failed') {
      await pause(EVERY, undefined, { signal });
      run = await get(begun.jobId);
      bar?.update(done(run)[0] + run.skipped);
    }
  } finally {
    bar?.stop();
    if (signal.aborted) output.note(`${begun.jobId} goes on`);
  }
  const [number, word] = done(run);
  const skipped =
    run.skipped > 0 ? `, ${count(run.skipped, 'dead letter')} skipped: failed anew, or none any more` : '';
  const error = run.state === 'failed' ? `\n${begun.jobId} failed: ${run.error?.message ?? ''}` : '';
  output.result(`${count(number, 'dead letter')} ${word}${skipped}${error}`, run);
  return run.state === 'failed' ? EXIT.failed : EXIT.ok;
}

/** What it would be about. */
export function showPlan({ output }: Context, planned: LettersPlanned, verb: string): ExitCode {
  const { total, groups } = planned;
  const last = `${verb} would be about ${count(total, 'dead letter')}; nothing was done`;
  output.result(total === 0 ? last : `${groupsText(groups)}\n${last}`, planned);
  return EXIT.ok;
}

function openBar(output: Output, doing: string, total: number): SingleBar | undefined {
  if (total === 0) {
    output.note('Nothing to do: what is named is no dead letter.');
    return undefined;
  }
  if (!output.interactive) {
    output.note(`${doing} ${count(total, 'dead letter')}`);
    return undefined;
  }
  const format = `${doing} {bar} {value} of {total}, {duration_formatted}`;
  const bar = new SingleBar({ stream: output.stderr, format, barsize: 20, hideCursor: true, clearOnComplete: true });
  bar.start(total, 0);
  return bar;
}
