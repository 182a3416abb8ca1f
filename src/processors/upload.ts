import pLimit from 'p-limit';
import type { StoredFacts } from '#domain';
import type { AppError } from '#errors';
import type { Logger } from '#log';
import type { AssetCommit, CommitResult } from '#metadata/metadata.ts';
import type { StatusOutbox } from '#metadata/status-outbox.ts';
import type { Metrics } from '#metrics';
import type { Batches } from '#queues/batches.ts';
import type { Pack, PackFile } from '#queues/catalog.ts';
import type { FollowUps } from '#queues/follow-ups.ts';
import { LockLostError } from '#queues/job-facts.ts';
import { toJobError } from '#queues/redis-errors.ts';
import type { Source, Store } from '#storage/store.ts';
import type { Outcome, Processor, Run } from './run.ts';
import { createStatusReporter, type StatusReporter } from './status-reporter.ts';
import { conclude } from './upload-conclude.ts';
import { commitFile, storeFile } from './upload-file.ts';
import { readUploadState, type UploadState } from './upload-state.ts';

export interface UploadPorts extends FollowUps {
  readonly store: Store;
  readonly openOrigin: (file: Pick<PackFile, 'origin' | 'size'>) => Promise<Source>;
  readonly commit: (item: AssetCommit) => Promise<CommitResult>;
  readonly outbox: Pick<StatusOutbox, 'put' | 'forget'>;
  readonly batches: Batches;
  /** Life of the URLs that rows are committed with, in seconds. */
  readonly urlSeconds: number;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly now: () => number;
  readonly random: () => number;
}

/** What one start of one job works with. */
export interface UploadParts {
  readonly ports: UploadPorts;
  readonly pack: Pack;
  readonly run: Run;
  readonly state: UploadState;
  readonly reporter: StatusReporter;
}

/** How far a file has come in this start. */
export type Stage =
  | { readonly file: PackFile; readonly stored: StoredFacts }
  | { readonly file: PackFile; readonly error: AppError };

/** Files of a pack that are stored at a time. */
const STORED_AT_ONCE = 8;
/** A pack of a batch that was never accepted waits this long before it discards itself, in milliseconds. */
const ACCEPTANCE = { every: 1_000, atMost: 60_000 };

/**
 * Puts the files of a pack into the store, verified there, and then commits them together: `ready` means that
 * both sides agree. What an earlier start stored is only committed.
 */
export function uploadProcessor(ports: UploadPorts): Processor<'upload'> {
  return async (pack, run) => {
    const waiting = await awaitAcceptance(ports, pack, run);
    if (waiting) return waiting;

    const state = await readUploadState(run.facts);
    const parts: UploadParts = { ports, pack, run, state, reporter: createStatusReporter(ports, pack, run) };
    const open = pack.files.filter((file) => state.endOf(file.assetId) === undefined);
    try {
      await parts.reporter.report(open, 'uploading');
      const stages = await storeFiles(parts, open);
      if (outgrewLane(stages, run)) {
        await ports.moveToLarge(run.jobId, { ...pack, startsBefore: run.starts });
        return { end: 'moved' };
      }
      return await conclude(parts, await commitFiles(parts, stages));
    } catch (thrown) {
      const error = errorOf(run, thrown);
      if (error.unavailable) throw error;
      // A fault of ours is the open files' error, so that their rows and their batch hear of it.
      return conclude(
        parts,
        open.map((file) => ({ file, error })),
      );
    }
  };
}

async function awaitAcceptance(ports: UploadPorts, pack: Pack, run: Run): Promise<Outcome | undefined> {
  if (!pack.awaitAcceptance) return undefined;
  const acceptance = await ports.batches.acceptance(pack.batchId);
  if (acceptance === 'accepted') return undefined;
  if (acceptance === 'accepting' && ports.now() - run.addedAt <= ACCEPTANCE.atMost) {
    return { end: 'later', inMs: ACCEPTANCE.every };
  }
  // Redis decides between us and an acceptance that comes this late.
  return (await ports.batches.abandon(pack.batchId)) ? { end: 'discarded' } : undefined;
}

async function storeFiles(parts: UploadParts, files: readonly PackFile[]): Promise<Stage[]> {
  const { run, state } = parts;
  const stages = await pLimit(STORED_AT_ONCE).map(files, (file) =>
    attempt(run, file, async () => state.storedOf(file.assetId) ?? (await storeFile(parts, file))),
  );
  await state.writeStored(stages.flatMap((stage) => ('stored' in stage ? [[stage.file.assetId, stage.stored]] : [])));
  return stages;
}

/** All at once: what is committed together travels in one mutation. */
function commitFiles(parts: UploadParts, stages: readonly Stage[]): Promise<Stage[]> {
  return Promise.all(
    stages.map((stage) => {
      if ('error' in stage) return stage;
      const { file, stored } = stage;
      return attempt(parts.run, file, async () => {
        await commitFile(parts, file, stored);
        return stored;
      });
    }),
  );
}

/** Keeps an error with its file, so that it does not stop the pack's others; an abort stops them all. */
async function attempt(run: Run, file: PackFile, work: () => Promise<StoredFacts>): Promise<Stage> {
  run.signal.throwIfAborted();
  try {
    return { file, stored: await work() };
  } catch (thrown) {
    return { file, error: errorOf(run, thrown) };
  }
}

/** What was thrown as an error of ours; throws it on when this run is over because the job is another's. */
function errorOf(run: Run, thrown: unknown): AppError {
  run.signal.throwIfAborted();
  if (thrown instanceof LockLostError) throw thrown;
  return toJobError(thrown);
}

function outgrewLane(stages: readonly Stage[], run: Run): boolean {
  return (
    run.lane === 'small' &&
    stages.some((stage) => 'error' in stage && stage.file.size === undefined && stage.error.code === 'TOO_LARGE')
  );
}
