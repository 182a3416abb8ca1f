import type { Command } from 'commander';
import {
  type Asset,
  type Batch,
  type ErrorFacts,
  type Job,
  type ReelayClient,
  ReelayError,
  type Seen,
  type Watchable,
} from '#client/node.ts';
import type { Act, Context } from './context.ts';
import { EXIT, type ExitCode, UsageError } from './exit.ts';
import { errorText } from './output.ts';

type Failure = Omit<ErrorFacts, 'code'> & { readonly code: string };

/** How one kind of thing reads, and how it ended. */
interface Reading<T> {
  endedWell(answer: T): boolean;
  /** One line of where it stands. */
  line(answer: T): string;
  errors(answer: T): readonly Failure[];
}

export function watch(program: Command, act: Act): void {
  program
    .command('watch')
    .description('follow a batch, a job or an asset until it is done, a line for each change')
    .argument('<id>', 'batch (b_…), job (b_…-0) or asset (a_…)')
    .action(act(run));
}

async function run(context: Context): Promise<ExitCode> {
  const [id = ''] = context.args;
  if (!/^[ab]_/.test(id))
    throw new UsageError(`${id} is not the id of a batch (b_…), a job (b_…-0) or an asset (a_…).`);
  const client = await context.connect();
  const watching = { client, id, context };
  if (id.startsWith('a_')) return watchOne({ assetId: id }, asset, watching);
  if (await isJob(client, id, context.signal)) return watchOne({ jobId: id }, job, watching);
  return watchOne({ batchId: id }, batch, watching);
}

/** A batch id may itself end like a job's, in `-1`, so the API is asked. */
async function isJob(client: Pick<ReelayClient, 'getJob'>, id: string, signal: AbortSignal): Promise<boolean> {
  if (!/-(\d+|end)$/.test(id)) return false;
  try {
    await client.getJob(id, { signal });
    return true;
  } catch (thrown) {
    if (thrown instanceof ReelayError && thrown.code === 'NOT_FOUND') return false;
    throw thrown;
  }
}

interface Watching {
  readonly client: Pick<ReelayClient, 'watch'>;
  readonly id: string;
  readonly context: Context;
}

async function watchOne<T extends Watchable>(
  target: T,
  reading: Reading<Seen<T>>,
  { client, id, context: { output, signal } }: Watching,
): Promise<ExitCode> {
  let line = '';
  let last: Seen<T> | undefined;
  for await (const seen of client.watch(target, { signal })) {
    const now = `${id} ${reading.line(seen)}`;
    if (now !== line && !output.json) output.result(now, undefined);
    [line, last] = [now, seen];
  }
  const errors = last ? reading.errors(last) : [];
  output.result(errors.map((error) => errorText(error, '  ')).join('\n'), last);
  return last && reading.endedWell(last) ? EXIT.ok : EXIT.failed;
}

const percent = (progress: number) => `${Math.round(progress * 100)}%`;
const retry = (at: number | undefined) => (at === undefined ? '' : `, next attempt at ${new Date(at).toISOString()}`);

const batch: Reading<Batch> = {
  endedWell: ({ failed }) => failed.length === 0,
  line: ({ state, total, successful, failed }) =>
    `${state}: ${successful.length} of ${total} ready, ${failed.length} failed`,
  errors: ({ failed }) => failed.map(({ assetId, error }) => ({ ...error, message: `${assetId}: ${error.message}` })),
};

const job: Reading<Job> = {
  endedWell: ({ state }) => state === 'completed',
  line: ({ state, progress, attempts, maxAttempts, nextRetryAt }) =>
    `${state} ${percent(progress)}, attempt ${attempts} of ${maxAttempts ?? '-'}${retry(nextRetryAt)}`,
  errors: ({ error }) => (error ? [error] : []),
};

const asset: Reading<Asset> = {
  endedWell: ({ status }) => status === 'ready',
  line: ({ status, progress, version, nextRetryAt }) =>
    version === undefined ? `${status} ${percent(progress)}${retry(nextRetryAt)}` : `${status} v${version}`,
  errors: ({ error }) => (error ? [error] : []),
};
