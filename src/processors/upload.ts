import pLimit from 'p-limit';
import type { Breaker } from '#breakers/breaker.ts';
import type { StoredFacts } from '#domain';
import type { AppError } from '#errors';
import type { Logger } from '#log';
import type { AuditLog } from '#metadata/audit-log.ts';
import type { Metadata } from '#metadata/metadata.ts';
import type { Metrics } from '#metrics';
import type { Batches } from '#queues/batches.ts';
import type { CancelWatch } from '#queues/cancel-watch.ts';
import type { Pack, PackFile } from '#queues/catalog.ts';
import type { FollowUps } from '#queues/follow-ups.ts';
import type { StoredFiles } from '#queues/stored-files.ts';
import type { Source, Store } from '#storage/store.ts';
import { attempt, errorOf, type Stage } from './attempt.ts';
import type { CancelPorts } from './cancel-files.ts';
import type { CommitPorts } from './commit-stored.ts';
import { storeAgain } from './restore-stored.ts';
import { type Outcome, type Processor, type Run, SUSPECT_FROM } from './run.ts';
import { createStatusReporter, type StatusReporter } from './status-reporter.ts';
import type { TimeAllowance } from './time-allowance.ts';
import { cancelPack } from './upload-cancel.ts';
import { commitPack } from './upload-commit.ts';
import { storeFile } from './upload-file.ts';
import { readUploadState, type UploadState } from './upload-state.ts';
import { waitOn } from './upload-wait.ts';

export interface UploadPorts extends FollowUps, CommitPorts, CancelPorts {
  readonly store: Store;
  readonly metadata: CancelPorts['metadata'] & Pick<Metadata, 'putQuarantined' | 'removeQuarantined'>;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly openOrigin: (file: Pick<PackFile, 'origin' | 'size'>) => Promise<Source>;
  readonly batches: Batches;
  readonly storedFiles: StoredFiles;
  readonly watchCancel: CancelWatch['watch'];
  readonly metadataBreaker: Pick<Breaker, 'refusal'>;
  /** How long a file may take in one try. */
  readonly allowance: TimeAllowance;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: () => number;
}

/** What one start of one job works with. */
export interface UploadParts {
  readonly ports: UploadPorts;
  readonly pack: Pack;
  readonly run: Run;
  /** Aborted with `CANCELLED` once the job is. */
  readonly cancelled: AbortSignal;
  /** Aborted when the bytes need not move any more: cancelled, or the run is over. */
  readonly signal: AbortSignal;
  readonly state: UploadState;
  readonly reporter: StatusReporter;
}

/** Files of a pack that are stored at a time. */
const STORED_AT_ONCE = 8;
/** A pack of a batch that was never accepted waits this long before it discards itself, in milliseconds. */
const ACCEPTANCE = { every: 1_000, atMost: 60_000 };

/**
 * Puts the files of a pack into the store, verified there, and then commits them together: `ready` means that
 * both sides agree. What an earlier start stored is only committed; what the end of the batch commits is only stored.
 */
export function uploadProcessor(ports: UploadPorts): Processor<'upload'> {
  return async (pack, run) => {
    const waiting = await awaitAcceptance(ports, pack, run);
    if (waiting) return waiting;

    const state = await readUploadState(run, pack.replaysBefore ?? 0, ports.now());
    const { signal: cancelled, stop } = ports.watchCancel(pack.batchId, run.jobId);
    const signal = AbortSignal.any([run.signal, cancelled]);
    const reporter = createStatusReporter(ports, pack, run, state);
    const parts: UploadParts = { ports, pack, run, cancelled, signal, state, reporter };
    try {
      const toStore = pack.files.some(({ assetId }) => !state.endOf(assetId) && !state.storedOf(assetId));
      if (await ports.cancellations.begin(pack.batchId, run.jobId, toStore)) return await cancelPack(parts);
      return (await waitOn(parts, toStore)) ?? (await upload(parts));
    } finally {
      stop();
    }
  };
}

async function upload(parts: UploadParts): Promise<Outcome> {
  const { ports, pack, run, state } = parts;
  const open = pack.files.filter((file) => state.endOf(file.assetId) === undefined);
  const fail = (error: AppError) =>
    commitPack(
      parts,
      open.map((file) => ({ file, error })),
    );
  if (run.poison?.again) return fail(run.poison.error);
  try {
    await parts.reporter.report(open, 'uploading');
    const stages = await storeFiles(parts, open);
    if (outgrewLane(stages, run)) {
      await ports.moveToLarge(run.jobId, {
        ...pack,
        startsBefore: run.starts,
        replaysBefore: state.generation,
      });
      return { end: 'moved' };
    }
    return await commitPack(parts, stages);
  } catch (thrown) {
    const error = errorOf(run, thrown);
    if (error.unavailable) throw error;
    // A fault of ours is the open files' error, so that their rows and their batch hear of it.
    return fail(error);
  }
}

async function awaitAcceptance(ports: UploadPorts, pack: Pack, run: Run): Promise<Outcome | undefined> {
  if (!pack.awaitAcceptance) return undefined;
  const acceptance = await ports.batches.acceptance(pack.batchId, pack.round);
  if (acceptance === 'accepted') return undefined;
  if (acceptance === 'accepting' && ports.now() - run.addedAt <= ACCEPTANCE.atMost) {
    return { end: 'later', inMs: ACCEPTANCE.every };
  }
  // Redis decides between us and an acceptance that comes this late.
  return (await ports.batches.abandon(pack.batchId, pack.round)) ? { end: 'discarded' } : undefined;
}

/** Stores what is not in the store yet. Throws `Interrupted` once nothing is at hand any more. */
async function storeFiles(parts: UploadParts, files: readonly PackFile[]): Promise<Stage[]> {
  const { run, state } = parts;
  // A suspect's one by one, and not from the same file on each time: all but the culprit are stored before it.
  const atOnce = pLimit(run.crashes < SUSPECT_FROM ? STORED_AT_ONCE : 1);
  const from = run.crashes % Math.max(1, files.length);
  const inTurn = [...files.slice(from), ...files.slice(0, from)];
  const store = async (file: PackFile): Promise<StoredFacts> => {
    const known = state.storedOf(file.assetId);
    if (known && state.generation === 0) return known;
    run.park.throwIfAborted();
    // What is stored is committed all the same, unless that crashes, too.
    if (run.poison && !known) throw run.poison.error;
    const stored = known ? await storeAgain(parts, file, known) : await storeFile(parts, file);
    if (stored !== known) await state.noteStored(file.assetId, stored);
    return stored;
  };
  // Interrupted, it waits for what is at hand all the same: that is noted, and not sent again.
  const ends = await Promise.allSettled(inTurn.map((file) => atOnce(() => attempt(run, file, () => store(file)))));
  return ends.map((end) => {
    if (end.status === 'rejected') throw end.reason;
    return end.value;
  });
}

function outgrewLane(stages: readonly Stage[], run: Run): boolean {
  return (
    run.lane === 'small' &&
    stages.some((stage) => 'error' in stage && stage.file.size === undefined && stage.error.code === 'TOO_LARGE')
  );
}
