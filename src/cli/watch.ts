import type { Command } from 'commander';
import { type Asset, type Batch, type ErrorFacts, type Job, type ReelayClient, ReelayError } from '#client/client.ts';
import { follow } from '#client/follow.ts';
import type { Act, Context } from './context.ts';
import { EXIT, type ExitCode, UsageError } from './exit.ts';
import { errorText } from './output.ts';

type Failure = Omit<ErrorFacts, 'code'> & { readonly code: string };

/** One kind of thing to watch: how to ask for it, when it is over, and how it reads. */
interface Watched<T> {
  ask(id: string, signal: AbortSignal): Promise<T>;
  /** Undefined while it goes on, then whether it ended well. */
  ended(answer: T): boolean | undefined;
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
  if (id.startsWith('a_')) return watchOne(context, id, assetOf(client));
  return (await isJob(client, id, context.signal))
    ? watchOne(context, id, jobOf(client))
    : watchOne(context, id, batchOf(client));
}

/** A batch id may itself end like a job's, in `-1`, so the API is asked. */
async function isJob(client: ReelayClient, id: string, signal: AbortSignal): Promise<boolean> {
  if (!/-(\d+|end)$/.test(id)) return false;
  try {
    await client.getJob(id, { signal });
    return true;
  } catch (thrown) {
    if (thrown instanceof ReelayError && thrown.code === 'NOT_FOUND') return false;
    throw thrown;
  }
}

async function watchOne<T>({ output, signal }: Context, id: string, watched: Watched<T>): Promise<ExitCode> {
  let last = '';
  const onUpdate = (answer: T) => {
    const line = `${id} ${watched.line(answer)}`;
    if (line !== last && !output.json) output.result(line, undefined);
    last = line;
  };
  const done = (answer: T) => watched.ended(answer) !== undefined;
  const answer = await follow(() => watched.ask(id, signal), done, { onUpdate, signal });
  output.result(
    watched
      .errors(answer)
      .map((error) => errorText(error, '  '))
      .join('\n'),
    answer,
  );
  return watched.ended(answer) ? EXIT.ok : EXIT.failed;
}

const percent = (progress: number) => `${Math.round(progress * 100)}%`;
const retry = (at: number | undefined) => (at === undefined ? '' : `, next attempt at ${new Date(at).toISOString()}`);

const batchOf = (client: ReelayClient): Watched<Batch> => ({
  ask: (id, signal) => client.getBatch(id, { signal }),
  ended: ({ state, failed }) => (state === 'done' ? failed.length === 0 : undefined),
  line: ({ state, total, successful, failed }) =>
    `${state}: ${successful.length} of ${total} ready, ${failed.length} failed`,
  errors: ({ failed }) => failed.map(({ assetId, error }) => ({ ...error, message: `${assetId}: ${error.message}` })),
});

const jobOf = (client: ReelayClient): Watched<Job> => ({
  ask: (id, signal) => client.getJob(id, { signal }),
  ended: ({ state }) => (state === 'completed' ? true : state === 'failed' ? false : undefined),
  line: ({ state, progress, attempts, maxAttempts, nextRetryAt }) =>
    `${state} ${percent(progress)}, attempt ${attempts} of ${maxAttempts ?? '-'}${retry(nextRetryAt)}`,
  errors: ({ error }) => (error ? [error] : []),
});

const assetOf = (client: ReelayClient): Watched<Asset> => ({
  ask: (id, signal) => client.getAsset(id, { signal }),
  ended: ({ status }) => (status === 'ready' ? true : status === 'error' || status === 'deleted' ? false : undefined),
  line: ({ status, progress, version, nextRetryAt }) =>
    version === undefined ? `${status} ${percent(progress)}${retry(nextRetryAt)}` : `${status} v${version}`,
  errors: ({ error }) => (error ? [error] : []),
});
