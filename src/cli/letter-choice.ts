import { type Command, InvalidArgumentError } from 'commander';
import type { ChosenLetters } from '#client/node.ts';
import { UsageError } from './exit.ts';

export interface ChoiceOptions {
  readonly fingerprint?: string;
  readonly olderThan?: number;
  readonly all?: boolean;
  readonly dryRun?: boolean;
}

/** The arguments and options by which dead letters are chosen. */
export function withChoice(command: Command): Command {
  return command
    .argument('[jobs...]', 'job ids')
    .option('--fingerprint <f>', 'those of this group')
    .option('--older-than <age>', 'those that failed at least so long ago: 90s, 30m, 2h, 7d', readAge)
    .option('--all', 'every one')
    .option('--dry-run', 'say which they are, and do nothing');
}

/** What is chosen. Throws `UsageError` when that is nothing, or everything and something. */
export function choiceOf(jobIds: readonly string[], { fingerprint, olderThan, all }: ChoiceOptions): ChosenLetters {
  const chosen = { fingerprint, olderThan, jobIds: jobIds.length > 0 ? jobIds : undefined };
  const isChosen = Object.values(chosen).some((one) => one !== undefined);
  if (isChosen && all) throw new UsageError('--all is said alone.');
  if (!isChosen && !all) throw new UsageError('Name jobs, --fingerprint or --older-than; or say --all.');
  return all ? { all } : chosen;
}

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

function readAge(text: string): number {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (!count || !unit) throw new InvalidArgumentError('It is a number with s, m, h or d: 2h.');
  return Number(count) * SECONDS[unit as keyof typeof SECONDS];
}
