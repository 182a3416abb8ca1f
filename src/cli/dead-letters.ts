import type { Command } from 'commander';
import type { Act, Context } from './context.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { followLetters, showPlan } from './follow-letters.ts';
import { type ChoiceOptions, choiceOf, withChoice } from './letter-choice.ts';
import { groupsText, lettersText } from './letter-tables.ts';
import { wholeNumber } from './whole-number.ts';

interface ListOptions {
  readonly fingerprint?: string;
  readonly limit: number;
}

export function deadLetters(program: Command, act: Act): void {
  const list = program
    .command('dead-letters')
    .description('what failed for good, grouped by its reason')
    .option('--fingerprint <f>', 'the dead letters of this group instead')
    .option('--limit <n>', 'at most as many of a group, 1 to 1000', wholeNumber(1, 1_000), 20)
    .action(act(run));
  withChoice(list.command('discard'))
    .description('remove dead letters for good; the rows of their files keep their errors')
    .requiredOption('--reason <text>', 'why, for the audit')
    .action(act(discard));
}

async function run({ connectAdmin, output, signal }: Context, { fingerprint, limit }: ListOptions): Promise<ExitCode> {
  const client = await connectAdmin();
  if (fingerprint !== undefined) {
    const page = await client.deadLetters.list(fingerprint, { limit, signal });
    output.result(lettersText(page.deadLetters, page.next !== undefined), page);
    return EXIT.ok;
  }
  const groups = await client.deadLetters.groups({ signal });
  output.result(groupsText(groups), { groups });
  return EXIT.ok;
}

async function discard(
  context: Context,
  { reason, ...options }: ChoiceOptions & { reason: string },
): Promise<ExitCode> {
  const { args, connectAdmin, signal } = context;
  const chosen = choiceOf(args, options);
  const client = await connectAdmin();
  if (options.dryRun) return showPlan(context, await client.deadLetters.plan(chosen, { signal }), 'discard');
  const begun = await client.deadLetters.discard({ ...chosen, reason }, { signal });
  return followLetters(context, begun, {
    doing: 'discarding',
    done: ({ discarded }) => [discarded, 'discarded'],
    get: (jobId) => client.deadLetters.getDiscard(jobId, { signal }),
  });
}
