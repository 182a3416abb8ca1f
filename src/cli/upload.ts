import { type Command, Option } from 'commander';
import { TYPES_BY_EXTENSION } from '#client/local-files.ts';
import type { ReelayError, Sent, UploadPathsOptions } from '#client/node.ts';
import { ASSET_TYPES, type AssetType, type EntityRef, type Visibility } from '#domain';
import type { Act, Context } from './context.ts';
import { EXIT, type ExitCode, exitOf } from './exit.ts';
import { count, sizeText, table } from './output.ts';
import { createProgress, type Progress } from './progress.ts';
import { isLong, reportDocument, reportText, withVersions } from './report.ts';
import { wholeNumber } from './whole-number.ts';

interface UploadOptions extends EntityRef {
  readonly type?: AssetType;
  readonly visibility?: Visibility;
  readonly concurrency: number;
  readonly wait: boolean;
  readonly waitApi: number;
  readonly fresh?: boolean;
  readonly dryRun?: boolean;
}

/** Batches named when an upload ends early. */
const NAMED = 10;

const EXTENSIONS = Map.groupBy(Object.entries(TYPES_BY_EXTENSION), ([, type]) => type);

const HELP = `
A folder is uploaded with all below it. A file's name is kept as its filename; inside a folder it is the
path below that folder (sub/clip.mp4), which the API makes safe in the object's key and keeps as it is in
the asset. Links, hidden files and empty files inside folders are skipped, and said so.

An upload of a folder that was interrupted goes on where it was when the same command is typed again: what
the API has is not sent again, unless the file changed; of a file above 64 MiB, named itself too, only the
parts are sent that are missing. --fresh sends everything.

The asset type is told from the extension, unless --type names one for all files:
${table([...EXTENSIONS].map(([type, of]) => [`  ${type}`, of.map(([extension]) => extension).join(' ')]))}`;

export function upload(program: Command, act: Act): void {
  program
    .command('upload')
    .description('upload files and folders, and wait until each file is ready')
    .argument('<paths...>', 'files and folders')
    .requiredOption('--project <id>', 'project the assets belong to; made when new')
    .requiredOption('--session <id>', 'session in that project; made when new')
    .option('--scene <id>', 'scene in that session; made when new; scene types need it, session types refuse it')
    .addOption(new Option('--type <type>', 'asset type of all files').choices(ASSET_TYPES))
    .addOption(new Option('--visibility <who>', 'who may read (default: private)').choices(['private', 'public']))
    .option('--concurrency <n>', 'requests at a time, 1 to 32', wholeNumber(1, 32), 4)
    .option('--no-wait', 'end once the API has accepted everything')
    .option(
      '--wait-api <seconds>',
      'how long an API that is away is waited for, 0 to 86400',
      wholeNumber(0, 86_400),
      120,
    )
    .option('--fresh', 'send everything, also what an earlier run sent')
    .option('--dry-run', 'say what would be sent, and send nothing')
    .addHelpText('after', HELP)
    .action(act(run));
}

async function run(context: Context, options: UploadOptions): Promise<ExitCode> {
  const { output, signal } = context;
  const { project, session, scene, type: assetType, visibility, concurrency, wait, fresh } = options;
  const progress = createProgress(output);
  const away = outageNotes(progress, options.waitApi);
  const client = await context.connect({ retryForMs: options.waitApi * 1_000, onRetry: away.onRetry });
  const sent: Sent[] = [];
  const uploading: UploadPathsOptions = {
    ...{ project, session, scene, assetType, visibility, concurrency, wait, signal },
    ...{ base: context.base, env: context.env, resume: fresh ? 'fresh' : true, onNote: progress.note },
    onProgress(now) {
      if (now.phase === 'processing') away.over();
      progress.update(now);
    },
    onSent(one) {
      away.over();
      sent.push(one);
      progress.line(sentLine(one));
    },
  };
  if (options.dryRun) return plan(context, uploading);
  try {
    const { files, skipped, closed } = await client.uploadPaths(context.args, uploading);
    progress.stop();
    const report = output.json || !isLong(files) ? await withVersions(client, files, signal) : files;
    output.result(reportText(report), reportDocument(report, skipped));
    if (closed) return exitOf(closed);
    return report.every(({ status }) => status === 'ready' || status === 'accepted') ? EXIT.ok : EXIT.failed;
  } catch (thrown) {
    progress.stop();
    for (const line of goingOn(sent)) output.note(line);
    throw thrown;
  }
}

async function plan({ args, connect, output }: Context, options: UploadPathsOptions): Promise<ExitCode> {
  const client = await connect();
  const { files, requests, already, skipped } = await client.planPaths(args, options);
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const shown = files.map(({ name, assetType, size }) => [name, assetType, sizeText(size)]);
  const lines = [
    ...(files.length > 0 ? [table([['FILE', 'TYPE', 'SIZE'], ...shown])] : []),
    `would send ${count(files.length, 'file')}, ${sizeText(bytes)}, in ${count(requests, 'request')}`,
    ...(already.length > 0 ? [`${count(already.length, 'file')} already there`] : []),
  ];
  output.result(lines.join('\n'), {
    ...{ outcome: 'planned', requests, bytes, already: already.length, skipped },
    files: files.map(({ name, assetType, size }) => ({ name, assetType, size })),
  });
  return EXIT.ok;
}

/** Says once per outage that the API is waited for. */
function outageNotes(progress: Progress, seconds: number) {
  let told = false;
  return {
    onRetry({ code, message }: ReelayError) {
      if (!told) progress.note(`waiting for the API, up to ${seconds} s: ${code}: ${message}`);
      told = true;
    },
    over() {
      told = false;
    },
  };
}

/** How to follow what was accepted before the upload ended. */
function goingOn(sent: readonly Sent[]): string[] {
  const batchIds = sent.flatMap((one) => ('accepted' in one ? one.accepted.batchId : []));
  const lines = batchIds.slice(0, NAMED).map((batchId) => `accepted, and goes on: reelay watch ${batchId}`);
  return batchIds.length > NAMED ? [...lines, `… and ${count(batchIds.length - NAMED, 'batch')} more`] : lines;
}

/** A line as things go; why something was not accepted is for the report, which those who see no lines get too. */
function sentLine(sent: Sent): string {
  const [first, ...more] = sent.request.files;
  const what = more.length > 0 ? count(more.length + 1, 'file') : (first?.name ?? '');
  if ('accepted' in sent) return `sent ${what} as ${sent.accepted.batchId}`;
  return 'error' in sent ? `not accepted: ${what} (${sent.error.code})` : `not sent: ${what}`;
}
