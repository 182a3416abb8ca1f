import type { Batch } from '#answers';
import type { AssetType, EntityRef, Visibility } from '#domain';
import type { ReelayClient } from './client.ts';
import { closedBy, ReelayError } from './error.ts';
import { batchesOf, followAll } from './follow-batches.ts';
import { type Journal, journalPath, openJournal, type Past, readJournal } from './journal.ts';
import { findFiles, type LocalFile, type LocalGroup, type Skipped } from './local-files.ts';
import { type FileReport, reportOf } from './report.ts';
import { type Known, resume } from './resume.ts';
import { type Outgoing, type Sent, sendAll } from './send.ts';
import { createTally, teller, type UploadProgress } from './tally.ts';
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
  /** `fresh` forgets what an earlier run sent of a folder or a large file; `false` keeps no journal. */
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

interface Target {
  readonly client: ReelayClient;
  readonly apiUrl: string;
}

/** Uploads files and folders. Throws `NOT_UPLOADABLE` before anything is sent; a file's own failure is in the report. */
export async function uploadPaths(
  target: Target,
  paths: readonly string[],
  options: UploadPathsOptions,
): Promise<UploadReport> {
  const { groups, skipped } = await find(paths, options);
  const journals: Journal[] = [];
  const open = async (path: string) => {
    const journal = await openOrSay(path, options);
    if (journal) journals.push(journal);
    return journal;
  };
  try {
    const plans = await planGroups(target, groups, options, open);
    const known = plans.flatMap((plan) => plan.known);
    const requests = plans.flatMap(({ requests, past: journal }) => requests.map((one) => ({ ...one, journal })));
    return { ...(await carryOut(target.client, requests, known, options)), skipped };
  } finally {
    await Promise.all(journals.map((journal) => journal.close()));
  }
}

/** What `uploadPaths` would do now; nothing is sent and no journal touched. */
export async function planPaths(
  target: Target,
  paths: readonly string[],
  options: UploadPathsOptions,
): Promise<UploadPlan> {
  const { groups, skipped } = await find(paths, options);
  const read = async (path: string) => (options.resume === 'fresh' ? undefined : readJournal(path));
  const plans = await planGroups(target, groups, options, read);
  const requests = plans.flatMap((plan) => plan.requests);
  return {
    files: requests.flatMap((request) => request.files),
    requests: requests.length,
    already: plans.flatMap(({ known }) => known.map(({ file }) => file)),
    skipped,
  };
}

/** What is left of each group after what its journal, if it has one, tells of earlier runs. */
async function planGroups<P extends Past>(
  { client, apiUrl }: Target,
  groups: readonly LocalGroup[],
  options: UploadPathsOptions,
  open: (path: string) => Promise<P | undefined>,
) {
  const { visibility, signal } = options;
  const plans = [];
  for (const group of groups) {
    const path = pathOfJournal(apiUrl, group, options);
    const past = path === undefined ? undefined : await open(path);
    plans.push({ past, ...(await resume(group, past, { client, visibility, signal })) });
  }
  return plans;
}

/** Sends what is to be sent, and follows that and what is still under way from earlier. */
async function carryOut(
  client: ReelayClient,
  requests: readonly Outgoing[],
  known: readonly Known[],
  options: UploadPathsOptions,
): Promise<Omit<UploadReport, 'skipped'>> {
  const { project, session, scene, visibility, metadata, signal, concurrency = CONCURRENCY } = options;
  const tally = createTally(requests, known, options.onProgress);
  const tell = teller(options.onFile);
  tell(reportOf([], known, new Map()));
  const sent = await sendAll(requests, {
    ...{ client, entity: { project, session, scene }, visibility, metadata, signal, concurrency },
    onBytes: tally.sentBytes,
    onNote: (note) => options.onNote?.(note),
    onSent: (one) => {
      tally.sent(one);
      tell(reportOf([one], [], new Map()));
      options.onSent?.(one);
    },
  });
  const closed = sent.flatMap((one) => ('error' in one && closedBy(one.error) ? one.error : []))[0];
  const ended = new Map<string, Batch>();
  const onBatch = (batch: Batch) => {
    ended.set(batch.batchId, batch);
    if (options.onFile) tell(reportOf(sent, known, new Map([[batch.batchId, batch]])));
  };
  if (options.wait !== false && !closed) await followAll(client, batchesOf(sent, known), { tally, signal, onBatch });
  const files = reportOf(sent, known, ended);
  tell(files, 'accepted too');
  return { files, closed };
}

async function find(paths: readonly string[], options: UploadPathsOptions) {
  const found = await findFiles(paths, options);
  for (const { path, why } of found.skipped) options.onNote?.(`skipped ${path}: ${why}`);
  return found;
}

/** Where the journal of a group is, if it has one. */
function pathOfJournal(apiUrl: string, { path }: LocalGroup, options: UploadPathsOptions): string | undefined {
  const { env = process.env } = options;
  return path === undefined || options.resume === false ? undefined : journalPath(apiUrl, options, path, env);
}

/** An upload that cannot keep a journal is better than none. */
async function openOrSay(path: string, options: UploadPathsOptions): Promise<Journal | undefined> {
  return openJournal(path, options.resume === 'fresh').catch((thrown: unknown) => {
    if (!(thrown instanceof ReelayError)) throw thrown;
    options.onNote?.(`an interrupted upload will start anew: ${thrown.message} ${thrown.nextAction}`);
    return undefined;
  });
}
