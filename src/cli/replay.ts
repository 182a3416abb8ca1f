import type { Command } from 'commander';
import type { Act, Context } from './context.ts';
import type { ExitCode } from './exit.ts';
import { followLetters, showPlan } from './follow-letters.ts';
import { type ChoiceOptions, choiceOf, withChoice } from './letter-choice.ts';
import { wholeNumber } from './whole-number.ts';

interface ReplayOptions extends ChoiceOptions {
  readonly perSecond: number;
}

export function replay(program: Command, act: Act): void {
  withChoice(program.command('replay'))
    .description('start dead letters again, once what made them fail is mended')
    .option('--per-second <n>', 'how many a second, 1 to 1000', wholeNumber(1, 1_000), 50)
    .action(act(run));
}

async function run(context: Context, { perSecond, ...options }: ReplayOptions): Promise<ExitCode> {
  const { args, connectAdmin, signal } = context;
  const chosen = choiceOf(args, options);
  const client = await connectAdmin();
  if (options.dryRun) return showPlan(context, await client.deadLetters.plan(chosen, { signal }), 'replay');
  const begun = await client.deadLetters.replay({ ...chosen, perSecond }, { signal });
  return followLetters(context, begun, {
    doing: 'replaying',
    done: ({ replayed }) => [replayed, 'replayed'],
    get: (jobId) => client.deadLetters.getReplay(jobId, { signal }),
  });
}
