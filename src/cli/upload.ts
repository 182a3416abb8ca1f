import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Batch } from '#client/client.ts';
import { ASSET_TYPES, type AssetType, belongsToScene, type EntityRef, type Visibility } from '#domain';
import { collect, type LocalFile, TYPES_BY_EXTENSION } from './collect.ts';
import type { Act, Context } from './context.ts';
import { EXIT, type ExitCode, exitOf, UsageError } from './exit.ts';
import { count, table } from './output.ts';
import { createProgress, type Progress } from './progress.ts';
import { isLong, reportDocument, reportFiles, reportText, withVersions } from './report.ts';
import { planRequests } from './requests.ts';
import { type Sent, sendAll } from './send.ts';

interface UploadOptions extends EntityRef {
  readonly type?: AssetType;
  readonly visibility?: Visibility;
  readonly concurrency: number;
  readonly wait: boolean;
}

const EXTENSIONS = Map.groupBy(Object.entries(TYPES_BY_EXTENSION), ([, type]) => type);

const HELP = `
A folder is uploaded with all below it. A file's name is kept as its filename; inside a folder it is the
path below that folder (sub/clip.mp4), which the API makes safe in the object's key and keeps as it is in
the asset. Links, hidden files and empty files inside folders are skipped, and said so.

The asset type is told from the extension, unless --type names one for all files:
${table([...EXTENSIONS].map(([type, of]) => [`  ${type}`, of.map(([extension]) => extension).join(' ')]))}`;

export function upload(program: Command, act: Act): void {
  program
    .command('upload')
    .description('upload files and folders, and wait until each file is ready')
    .argument('<paths...>', 'files and folders')
    .requiredOption('--project <id>', 'project the assets belong to; made when new')
    .requiredOption('--session <id>', 'session in that project; made when new')
    .option('--scene <id>', 'scene in that session; made when new')
    .addOption(new Option('--type <type>', 'asset type of all files').choices(ASSET_TYPES))
    .addOption(new Option('--visibility <who>', 'who may read (default: private)').choices(['private', 'public']))
    .option('--concurrency <n>', 'requests at a time', readConcurrency, 4)
    .option('--no-wait', 'end once the API has accepted everything')
    .addHelpText('after', HELP)
    .action(act(run));
}

async function run(context: Context, options: UploadOptions): Promise<ExitCode> {
  const { output, signal } = context;
  const { files, skipped } = await collect(context.args, context.base, options.type);
  checkEntity(options, files);
  const client = await context.connect();
  for (const { path, why } of skipped) output.note(`skipped ${path}: ${why}`);

  const { project, session, scene, visibility, concurrency } = options;
  const requests = planRequests(files);
  const progress = createProgress(output);
  const sent: Sent[] = [];
  try {
    progress.sending(
      files.length,
      files.reduce((sum, { size }) => sum + size, 0),
    );
    const onSent = (one: Sent) => {
      sent.push(one);
      progress.line(sentLine(one));
    };
    const entity = { project, session, scene };
    const onBytes = progress.sent;
    const all = await sendAll(requests, { client, entity, visibility, concurrency, signal, onBytes, onSent });
    const closed = all.find((one) => 'error' in one && exitOf(one.error) !== EXIT.failed);
    const ended = options.wait && !closed ? await waitForAll(context, all, progress) : new Map<string, Batch>();
    progress.stop();
    const plain = reportFiles(all, ended);
    const report = output.json || !isLong(plain) ? await withVersions(client, plain, signal) : plain;
    output.result(reportText(report), reportDocument(report, skipped));
    if (closed && 'error' in closed) return exitOf(closed.error);
    return report.every(({ status }) => status === 'ready' || status === 'accepted') ? EXIT.ok : EXIT.failed;
  } catch (thrown) {
    progress.stop();
    for (const batchId of acceptedIds(sent)) output.note(`accepted, and goes on: reelay watch ${batchId}`);
    throw thrown;
  }
}

/** Types of scenes want a scene, types of sessions none; said before anything is sent. */
function checkEntity({ scene }: UploadOptions, files: readonly LocalFile[]): void {
  const wrong = files.find(({ assetType }) => belongsToScene(assetType) === (scene === undefined));
  if (!wrong) return;
  const rule =
    scene === undefined ? 'belongs to a scene: name one by --scene' : 'belongs to a session: leave out --scene';
  throw new UsageError(`${wrong.path}: a ${wrong.assetType} ${rule}.`);
}

async function waitForAll(context: Context, sent: readonly Sent[], progress: Progress): Promise<Map<string, Batch>> {
  const client = await context.connect();
  const ids = acceptedIds(sent);
  const latest = new Map<string, Batch>();
  progress.processing(sent.reduce((n, one) => n + ('accepted' in one ? one.request.files.length : 0), 0));
  const onUpdate = (batch: Batch) => {
    latest.set(batch.batchId, batch);
    const batches = [...latest.values()];
    progress.processed(batches.reduce((n, { successful, failed }) => n + successful.length + failed.length, 0));
  };
  await Promise.all(ids.map((batchId) => client.waitForBatch(batchId, { signal: context.signal, onUpdate })));
  return latest;
}

function acceptedIds(sent: readonly Sent[]): string[] {
  return sent.flatMap((one) => ('accepted' in one ? one.accepted.batchId : []));
}

/** A line as things go; why something was not accepted is for the report, which those who see no lines get too. */
function sentLine(sent: Sent): string {
  const [first, ...more] = sent.request.files;
  const what = more.length > 0 ? count(more.length + 1, 'file') : (first?.name ?? '');
  if ('accepted' in sent) return `sent ${what} as ${sent.accepted.batchId}`;
  return 'error' in sent ? `not accepted: ${what} (${sent.error.code})` : `not sent: ${what}`;
}

function readConcurrency(text: string): number {
  const n = Number(text);
  if (Number.isInteger(n) && n >= 1 && n <= 32) return n;
  throw new InvalidArgumentError('It is a whole number from 1 to 32.');
}
