import { type Command, Option } from 'commander';
import { factsOf } from '#client/error.ts';
import { JOB_STATES, type Job, type JobState, ReelayError } from '#client/node.ts';
import type { Act, Context } from './context.ts';
import { EXIT, type ExitCode, exitOf } from './exit.ts';
import { errorText, table } from './output.ts';
import { wholeNumber } from './whole-number.ts';

interface JobsOptions {
  readonly state: JobState;
  readonly project?: string;
  readonly limit: number;
}

export function jobs(program: Command, act: Act): void {
  const list = program
    .command('jobs')
    .description('list jobs of one state, newest first')
    .addOption(new Option('--state <state>', 'state they are in').choices(JOB_STATES).default('active'))
    .option('--project <id>', 'of this project only')
    .option('--limit <n>', 'at most as many, 1 to 1000', wholeNumber(1, 1_000), 20)
    .action(act(run));
  list
    .command('cancel')
    .description('stop jobs that have not committed yet; their files end as CANCELLED')
    .argument('<jobs...>', 'job ids (b_…-0)')
    .action(act(cancel));
}

async function run({ connect, output, signal }: Context, options: JobsOptions): Promise<ExitCode> {
  const { state, project, limit } = options;
  const client = await connect();
  const found = await client.listJobs({ state, project, limit, signal });
  output.result(textOf(found, state), { jobs: found });
  return EXIT.ok;
}

/** Cancels each job in turn; one that cannot be cancelled any more does not keep the others from it. */
async function cancel({ args, connect, output, signal }: Context): Promise<ExitCode> {
  const client = await connect();
  const ends: { jobId: string; error?: ReelayError }[] = [];
  for (const jobId of args) {
    try {
      await client.cancelJob(jobId, { signal });
      ends.push({ jobId });
    } catch (error) {
      if (!(error instanceof ReelayError)) throw error;
      ends.push({ jobId, error });
    }
  }
  const failures = ends.flatMap(({ jobId, error }) => (error ? [{ jobId, error }] : []));
  for (const { jobId, error } of failures) output.note(`${jobId}\n${errorText(error, '  ')}`);
  const cancelled = ends.filter(({ error }) => !error).map(({ jobId }) => jobId);
  output.result(cancelled.map((jobId) => `${jobId} cancelled`).join('\n'), {
    cancelled,
    failed: failures.map(({ jobId, error }) => ({ jobId, error: factsOf(error) })),
  });
  return failures.reduce<ExitCode>((worst, { error }) => Math.max(worst, exitOf(error)) as ExitCode, EXIT.ok);
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
