import { type Command, InvalidArgumentError, Option } from 'commander';
import { JOB_STATES, type Job, type JobState } from '#client/client.ts';
import type { Act, Context } from './context.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { errorText, table } from './output.ts';

interface JobsOptions {
  readonly state: JobState;
  readonly project?: string;
  readonly limit: number;
}

export function jobs(program: Command, act: Act): void {
  program
    .command('jobs')
    .description('list jobs of one state, newest first')
    .addOption(new Option('--state <state>', 'state they are in').choices(JOB_STATES).default('active'))
    .option('--project <id>', 'of this project only')
    .option('--limit <n>', 'at most as many', readLimit, 20)
    .action(act(run));
}

async function run({ connect, output, signal }: Context, options: JobsOptions): Promise<ExitCode> {
  const { state, project, limit } = options;
  const client = await connect();
  const found = await client.listJobs({ state, project, limit, signal });
  output.result(textOf(found, state), { jobs: found });
  return EXIT.ok;
}

function textOf(found: readonly Job[], state: JobState): string {
  if (found.length === 0) return `There is no ${state} job.`;
  const rows = found.map((job) => [
    job.jobId,
    job.project ?? '-',
    job.lane,
    `${Math.round(job.progress * 100)}%`,
    `${job.attempts} of ${job.maxAttempts ?? '-'}`,
    job.files.length > 1
      ? `${job.files[0]?.filename} and ${job.files.length - 1} more`
      : (job.files[0]?.filename ?? '-'),
  ]);
  const heading = ['JOB', 'PROJECT', 'LANE', 'DONE', 'ATTEMPTS', 'FILES'];
  const errors = found.flatMap(({ jobId, error }) => (error ? [`${jobId}\n${errorText(error, '  ')}`] : []));
  return [table([heading, ...rows]), ...errors].join('\n');
}

function readLimit(text: string): number {
  const n = Number(text);
  if (Number.isInteger(n) && n >= 1 && n <= 1_000) return n;
  throw new InvalidArgumentError('It is a whole number from 1 to 1000.');
}
