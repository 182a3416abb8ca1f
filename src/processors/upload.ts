import pLimit from 'p-limit';
import { AppError, toAppError } from '#errors';
import type { Logger } from '#log';
import type { AssetCommit, CommitResult, StatusUpdate } from '#metadata/metadata.ts';
import type { Metrics } from '#metrics';
import type { Batches } from '#queues/batches.ts';
import { type FileOrigin, JOBS, type Pack, type PackFile } from '#queues/catalog.ts';
import type { Source, Store } from '#storage/store.ts';
import type { Outcome, Processor, Run } from './run.ts';
import { createStatusReporter, type StatusReporter } from './status-reporter.ts';
import { commitFile, storeFile } from './upload-file.ts';
import { readUploadState, type UploadState } from './upload-state.ts';
import { waitAfterAttempt, waitWhileAway } from './waits.ts';

export interface UploadPorts {
  readonly store: Store;
  readonly openOrigin: (origin: FileOrigin) => Promise<Source>;
  readonly commit: (item: AssetCommit) => Promise<CommitResult>;
  readonly outbox: {
    put(updates: readonly StatusUpdate[]): Promise<void>;
    forget(assetIds: readonly string[]): Promise<void>;
  };
  readonly batches: Batches;
  /** Adds the job that closes the batch. */
  readonly endBatch: (batchId: string, correlationId: string) => Promise<void>;
  /** Adds the same job to lane `large`. */
  readonly moveToLarge: (jobId: string, pack: Pack) => Promise<void>;
  readonly urlSeconds: number;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly now: () => number;
  readonly random: () => number;
}

/** Files of a pack that are in work at a time. */
const FILES_AT_ONCE = 8;
/** A pack of a batch that was never accepted waits this long before it discards itself, in milliseconds. */
const ACCEPTANCE = { every: 1_000, atMost: 60_000 };

/** What one start of one job works with. */
export interface FileParts {
  readonly ports: UploadPorts;
  readonly pack: Pack;
  readonly run: Run;
  readonly state: UploadState;
  readonly reporter: StatusReporter;
}

type FileEnd = { readonly file: PackFile; readonly error?: AppError };

/** Puts the files of a pack into the store, verifies them there, and commits them: `ready` means both sides agree. */
export function uploadProcessor(ports: UploadPorts): Processor<'upload'> {
  return async (pack, run) => {
    const waiting = await awaitAcceptance(ports, pack);
    if (waiting) return waiting;

    const state = await readUploadState(run.facts);
    const reporter = createStatusReporter(
      {
        put: (updates) => ports.outbox.put(updates),
        now: ports.now,
        onLost: (error) => ports.log.warn({ error }, 'A progress report was lost'),
      },
      pack,
      run,
    );
    const parts: FileParts = { ports, pack, run, state, reporter };
    const open = pack.files.filter((file) => state.endOf(file.assetId) === undefined);
    await reporter.report(open, 'uploading');

    const limit = pLimit(FILES_AT_ONCE);
    const ends = await Promise.all(open.map((file) => limit(() => uploadFile(parts, file))));
    run.signal.throwIfAborted();
    if (outgrewLane(ends, run)) {
      await ports.moveToLarge(run.jobId, pack);
      return { end: 'moved' };
    }
    return conclude(parts, ends);
  };
}

async function awaitAcceptance(ports: UploadPorts, pack: Pack): Promise<Outcome | undefined> {
  if (!pack.awaitAcceptance || (await ports.batches.isAccepted(pack.batchId))) return undefined;
  if (ports.now() - pack.createdAt > ACCEPTANCE.atMost) return { end: 'discarded' };
  return { end: 'later', inMs: ACCEPTANCE.every };
}

/** One file to its end: stored, committed, told to everyone. Answers the error that kept it from there. */
async function uploadFile(parts: FileParts, file: PackFile): Promise<FileEnd> {
  const { ports, run, state } = parts;
  try {
    const stored = state.storedOf(file.assetId) ?? (await storeFile(parts, file));
    await commitFile(parts, file, stored);
    await finishFile(parts, file, 'ready');
    ports.metrics.assetBytes.observe(stored.size);
    return { file };
  } catch (error) {
    run.signal.throwIfAborted();
    return { file, error: toAppError(error) };
  }
}

/**
 * Tells everyone that a file has come to its end. The job's own note comes last: a crash before it
 * repeats the whole, and every step of it may run twice.
 */
async function finishFile(parts: FileParts, file: PackFile, end: 'ready' | AppError): Promise<void> {
  const { ports, pack, run, state, reporter } = parts;
  const facts = end === 'ready' ? end : end.toFacts();
  if (end === 'ready') await ports.outbox.forget([file.assetId]);
  else await reporter.report([file], 'error', { error: end });
  const { last } = await ports.batches.finish(pack.batchId, file.assetId, facts);
  if (last) await ports.endBatch(pack.batchId, pack.correlationId);
  await state.writeEnd(file.assetId, facts);
  ports.metrics.uploads.inc({ lane: run.lane, result: end === 'ready' ? 'ready' : 'error' });
}

const outgrewLane = (ends: readonly FileEnd[], run: Run): boolean =>
  run.lane === 'small' && ends.some(({ file, error }) => file.size === undefined && error?.code === 'TOO_LARGE');

/** What becomes of the job now that each file has come as far as it could. */
async function conclude(parts: FileParts, ends: readonly FileEnd[]): Promise<Outcome> {
  const { ports, pack, run, state, reporter } = parts;
  const failures = ends.flatMap(({ file, error }) => (error ? [{ file, error }] : []));
  const now = ports.now();
  const awaySince = state.awaySince !== undefined && failures.length === ends.length ? state.awaySince : now;
  const wait = waitWhileAway(now - awaySince, ports.random());
  const canRetry = run.attempt < run.maxAttempts;

  const isAway = ({ error }: { error: AppError }) => error.unavailable && wait !== undefined;
  const isOpen = (failure: { error: AppError }) => isAway(failure) || (failure.error.retryable && canRetry);
  const final = failures.filter((failure) => !isOpen(failure));
  const open = failures.filter(isOpen);

  for (const { file, error } of final) {
    await finishFile(parts, file, error);
  }
  const first = open[0] ?? final[0];
  if (first === undefined) return concludeEnded(parts);
  const away = open.find(isAway);
  await state.writeTrouble(away?.error ?? first.error, away ? awaySince : undefined);
  if (open.length === 0) return { end: 'failed', error: summary(pack, final) };

  const inMs = away && wait !== undefined ? wait : waitAfterAttempt(run.attempt, JOBS.upload.backoff, ports.random());
  for (const { file, error } of open) await reporter.report([file], 'uploading', { error, nextRetryAt: now + inMs });
  return away ? { end: 'later', inMs } : { end: 'retry', inMs, error: first.error };
}

/** No file is open any more. Failures of an earlier start still make the job a dead letter. */
async function concludeEnded({ ports, pack, state }: FileParts): Promise<Outcome> {
  const failed = pack.files.flatMap((file) => {
    const end = state.endOf(file.assetId);
    return end === undefined || end === 'ready'
      ? []
      : [{ file, error: new AppError(end.code, end.message, { details: { ...end.details } }) }];
  });
  if (failed.length > 0) return { end: 'failed', error: summary(pack, failed) };
  await dropStaged(ports, pack);
  return { end: 'done' };
}

function summary(pack: Pack, failed: readonly { file: PackFile; error: AppError }[]): AppError {
  const [{ file, error }] = failed as [{ file: PackFile; error: AppError }];
  const message = `${failed.length} of ${pack.files.length} files failed; ${file.filename}: ${error.message}`;
  return new AppError(error.code, message, {
    details: { assetIds: failed.map(({ file }) => file.assetId) },
    cause: error,
  });
}

/** Staged bytes are needed until their file is committed; what a failure here leaves behind, a sweep finds. */
async function dropStaged(ports: UploadPorts, pack: Pack): Promise<void> {
  const keys = new Set(pack.files.flatMap(({ origin }) => (origin.kind === 'staged' ? [origin.key] : [])));
  if (keys.size === 0) return;
  await ports.store
    .deleteMany([...keys])
    .catch((error: unknown) => ports.log.warn({ error, batchId: pack.batchId }, 'Staged bytes were left behind'));
}
