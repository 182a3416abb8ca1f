import pLimit from 'p-limit';
import type { Batch } from '#answers';
import type { AssetType, EntityRef, Visibility } from '#domain';
import type { ReelayClient } from './client.ts';
import { closedBy, ReelayError } from './error.ts';
import { type Journal, journalPath, openJournal, readJournal } from './journal.ts';
import { findFiles, type LocalFile, type LocalGroup, type Skipped } from './local-files.ts';
import { type FileReport, reportOf } from './report.ts';
import { type Known, resume } from './resume.ts';
import { type Outgoing, type Sent, sendAll } from './send.ts';
import { createTally, type Tally, teller, type UploadProgress } from './tally.ts';
import type { Metadata } from './upload.ts';

/** Where files of this machine go, and how. */
export interface UploadPathsOptions extends EntityRef {
  /** Stands for all files; else the extension decides. */
  readonly assetType?: AssetType | undefined;
  readonly visibility?: Visibility | undefined;
  /** What to keep with each file's asset. */
  readonly metadata?: ((file: LocalFile) => Metadata | undefined) | undefined;
  /** Requests at a time; 4 unless given. */
  readonly concurrency?: number | undefined;
  /** `false` ends once the API has accepted everything, instead of when each file is ready or failed. */
  readonly wait?: boolean | undefined;
  /** `fresh` forgets what an earlier run sent of a folder; `false` keeps no journal. */
  readonly resume?: boolean | 'fresh' | undefined;
  /** Folder that relative paths start from; the process's own unless given. */
  readonly base?: string | undefined;
  /** Its `XDG_STATE_HOME` and `HOME` say where journals are; the process's own unless given. */
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: UploadProgress) => void) | undefined;
  /** Sees each file once, when its end is known: ready, failed, not sent, or accepted when nobody waits. */
  readonly onFile?: ((file: FileReport) => void) | undefined;
  /** Sees each request as it is accepted or refused. */
  readonly onSent?: ((sent: Sent) => void) | undefined;
  /** Sees each file that was left out, and what else a person should know. */
  readonly onNote?: ((note: string) => void) | undefined;
}

export interface UploadReport {
  readonly files: readonly FileReport[];
  readonly skipped: readonly Skipped[];
  /** Why the API took nothing more, so that files were left unsent: no answer, no room, or no right. */
  readonly closed?: ReelayError | undefined;
}

/** What an upload would send, and what an earlier run sent that the API still has. */
export interface UploadPlan {
  readonly files: readonly LocalFile[];
  readonly requests: number;
  readonly already: readonly LocalFile[];
  readonly skipped: readonly Skipped[];
}

const CONCURRENCY = 4;
const FOLLOWED_AT_ONCE = 8;

interface Target {
  readonly client: ReelayClient;
  readonly apiUrl: string;
}

/** Uploads files and folders. Throws `NOT_UPLOADABLE` before anything is sent; a file's own failure is in the report. */
export async function uploadPaths(
  { client, apiUrl }: Target,
  paths: readonly string[],
  options: UploadPathsOptions,
): Promise<UploadReport> {
  const { project, session, scene, visibility, signal } = options;
  const { groups, skipped } = await find(paths, options);
  const entity = { project, session, scene };
  const journals: Journal[] = [];
  try {
    const known: Known[] = [];
    const requests: Outgoing[] = [];
    for (const group of groups) {
      const path = pathOfJournal(apiUrl, group, options);
      const journal = path === undefined ? undefined : await openOrSay(path, options);
      if (journal) journals.push(journal);
      const plan = await resume(group, journal, { client, visibility, signal });
      known.push(...plan.known);
      requests.push(...plan.requests.map((request) => ({ ...request, journal })));
    }
    const tally = createTally(requests, known, options.onProgress);
    const tell = teller(options.onFile);
    tell(reportOf([], known, new Map()));
    const sent = await sendAll(requests, {
      ...{ client, entity, visibility, metadata: options.metadata, signal },
      concurrency: options.concurrency ?? CONCURRENCY,
      onBytes: tally.sentBytes,
      onSent: (one) => {
        tally.sent(one);
        tell(reportOf([one], [], new Map()));
        options.onSent?.(one);
      },
    });
    const closed = sent.flatMap((one) => ('error' in one && closedBy(one.error) ? one.error : []))[0];
    const follow = options.wait !== false && !closed;
    const ended = new Map<string, Batch>();
    const onBatch = (batch: Batch) => {
      ended.set(batch.batchId, batch);
      if (options.onFile) tell(reportOf(sent, known, new Map([[batch.batchId, batch]])));
    };
    if (follow) await followAll(client, batchesOf(sent, known), { tally, signal, onBatch });
    const files = reportOf(sent, known, ended);
    tell(files, 'accepted too');
    return { files, skipped, closed };
  } finally {
    await Promise.all(journals.map((journal) => journal.close()));
  }
}

/** What `uploadPaths` would do now; nothing is sent and no journal touched. */
export async function planPaths(
  { client, apiUrl }: Target,
  paths: readonly string[],
  options: UploadPathsOptions,
): Promise<UploadPlan> {
  const { visibility, signal } = options;
  const { groups, skipped } = await find(paths, options);
  const plans = [];
  for (const group of groups) {
    const path = pathOfJournal(apiUrl, group, options);
    const past = path === undefined || options.resume === 'fresh' ? undefined : await readJournal(path);
    plans.push(await resume(group, past, { client, visibility, signal }));
  }
  const requests = plans.flatMap((plan) => plan.requests);
  return {
    files: requests.flatMap((request) => request.files),
    requests: requests.length,
    already: plans.flatMap(({ known }) => known.map(({ file }) => file)),
    skipped,
  };
}

async function find(paths: readonly string[], options: UploadPathsOptions) {
  const found = await findFiles(paths, options);
  for (const { path, why } of found.skipped) options.onNote?.(`skipped ${path}: ${why}`);
  return found;
}

/** Only folders are gone on with. */
function pathOfJournal(apiUrl: string, { folder }: LocalGroup, options: UploadPathsOptions): string | undefined {
  const { resume: wanted = true, env = process.env } = options;
  return folder === undefined || wanted === false ? undefined : journalPath(apiUrl, options, folder, env);
}

/** An upload that cannot keep a journal is better than none. */
async function openOrSay(path: string, options: UploadPathsOptions): Promise<Journal | undefined> {
  return openJournal(path, options.resume === 'fresh').catch((thrown: unknown) => {
    if (!(thrown instanceof ReelayError)) throw thrown;
    options.onNote?.(`an interrupted upload will start anew: ${thrown.message} ${thrown.nextAction}`);
    return undefined;
  });
}

/** The batches to follow, each with its files of this upload. */
function batchesOf(sent: readonly Sent[], known: readonly Known[]): Map<string, number> {
  const batches = new Map<string, number>();
  const add = (batchId: string, files: number) => batches.set(batchId, (batches.get(batchId) ?? 0) + files);
  for (const one of sent) if ('accepted' in one) add(one.accepted.batchId, one.request.files.length);
  for (const { batchId, ready } of known) if (!ready) add(batchId, 1);
  return batches;
}

/** Follows a few batches at a time: most have ended when their turn comes. */
async function followAll(
  client: ReelayClient,
  batches: ReadonlyMap<string, number>,
  { tally, signal, onBatch }: { tally: Tally; signal: AbortSignal | undefined; onBatch: (batch: Batch) => void },
): Promise<void> {
  const limit = pLimit(FOLLOWED_AT_ONCE);
  tally.awaiting([...batches.values()].reduce((sum, files) => sum + files, 0));
  await Promise.all(
    [...batches].map(([batchId, files]) =>
      limit(async () => {
        let counted = 0;
        const onUpdate = (batch: Batch) => {
          const now = Math.min(files, batch.successful.length + batch.failed.length);
          tally.ended(now - counted);
          counted = now;
        };
        const batch = await client.waitForBatch(batchId, { signal, onUpdate }).catch(unlessForgotten);
        if (batch) onBatch(batch);
      }),
    ),
  );
}

/** The API forgets a batch long ended; an asset of it that is still under way goes on without us. */
function unlessForgotten(thrown: unknown): undefined {
  if (!(thrown instanceof ReelayError && thrown.code === 'NOT_FOUND')) throw thrown;
}
