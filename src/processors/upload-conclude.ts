import type { StoredFacts } from '#domain';
import { AppError } from '#errors';
import type { FileEnd } from '#queues/batches.ts';
import { JOBS, type Pack, type PackFile } from '#queues/catalog.ts';
import type { StoredFile } from '#queues/stored-files.ts';
import type { Stage } from './attempt.ts';
import { compensate } from './compensation.ts';
import { deleteNeedless } from './delete-needless.ts';
import type { Outcome } from './run.ts';
import { needlessKeys } from './spools.ts';
import { assetFacts } from './status-reporter.ts';
import type { UploadParts } from './upload.ts';
import { tellBatch } from './upload-ends.ts';
import { waitAfterAttempt, waitWhileAway } from './waits.ts';

/** A file that failed for good, or that is tried again. */
export interface Failure {
  readonly file: PackFile;
  readonly error: AppError;
}

interface Success {
  readonly file: PackFile;
  readonly stored: StoredFacts;
}

/** What becomes of the job now that each file has come as far as it could. */
export async function conclude(parts: UploadParts, stages: readonly Stage[]): Promise<Outcome> {
  const { ports, pack, run, state, reporter } = parts;
  run.signal.throwIfAborted();
  const successes = stages.flatMap((stage) => ('stored' in stage ? [stage] : []));
  const failures = stages.flatMap((stage) => ('error' in stage ? [stage] : []));

  const now = ports.now();
  const awaySince = successes.length === 0 && state.awaySince !== undefined ? state.awaySince : now;
  const wait = waitWhileAway(now - awaySince, ports.random());
  const isAway = ({ error }: Failure) => error.unavailable && wait !== undefined;
  const triesOf = ({ file }: Failure) => state.triesOf(file.assetId) + 1;
  const hasTries = (failure: Failure) => Math.max(triesOf(failure), run.attempt) < run.maxAttempts;
  // A dependency that was away for a day has had its tries.
  const canRetry = (failure: Failure) => !failure.error.unavailable && failure.error.retryable && hasTries(failure);
  const open = failures.filter((failure) => isAway(failure) || canRetry(failure));
  const failed = [...failedBefore(parts), ...failures.filter((failure) => !open.includes(failure))];
  await finish(parts, successes, { open, failed });

  const [first] = open;
  // Who has told the end of a file has all the time that there is for what it left behind.
  const patience = { now, awaySince, wait: failures.length > 0 ? waitWhileAway(0, ports.random()) : wait };
  if (first === undefined) return ended(parts, failed, patience);
  const away = open.find(isAway);
  const inMs = away && wait !== undefined ? wait : waitAfterAttempt(run.attempt, JOBS.upload.backoff, ports.random());
  const retryAt = now + inMs;
  const tries = open.flatMap((one) => (isAway(one) ? [] : [[one.file.assetId, triesOf(one)] as const]));
  await state.writeTrouble((away ?? first).error, { retryAt, awaySince: away && awaySince, tries });
  for (const { file, error } of open) await reporter.report([file], 'uploading', { error, nextRetryAt: retryAt });
  ports.log.info({ batchId: pack.batchId, inMs, error: first.error.toFacts() }, 'Files of a pack are tried again');
  return away ? { end: 'later', inMs } : { end: 'retry', inMs, error: first.error };
}

/** Files that failed for good in an earlier start. */
export function failedBefore({ pack, state }: UploadParts): Failure[] {
  return pack.files.flatMap((file): Failure[] => {
    const end = state.endOf(file.assetId);
    if (typeof end !== 'object') return [];
    const { nextAction, details } = end;
    return [{ file, error: new AppError(end.code, end.message, { nextAction, details: { ...details } }) }];
  });
}

/**
 * Tells everyone which files have come to their end. The job's own note comes last: a crash before it repeats
 * the whole, and every step of it may run twice.
 */
async function finish(
  parts: UploadParts,
  successes: readonly Success[],
  { open, failed }: { open: readonly Failure[]; failed: readonly Failure[] },
): Promise<void> {
  const { ports, pack, run, state, reporter } = parts;
  const final = failed.filter(({ file }) => state.endOf(file.assetId) === undefined);
  if (successes.length + final.length === 0) return;
  // Fenced, and so before anything that is not: a run that lost its lock has no say in the batch.
  if (final[0]) await state.writeTrouble(final[0].error);
  if (pack.commit === 'each') await ports.outbox.forget(successes.map(({ file }) => file.assetId));
  else await leaveToBatch(parts, successes, open.length + failed.length === 0);
  for (const { file, error } of final) await reporter.report([file], 'error', { error });
  const ends = [
    ...successes.map(({ file }): FileEnd => [file.assetId, pack.commit === 'each' ? 'ready' : 'stored']),
    ...final.map(({ file, error }): FileEnd => {
      const tries = { attempt: state.triesOf(file.assetId) + 1, maxAttempts: run.maxAttempts };
      return [file.assetId, { ...error.toFacts(), ...tries }];
    }),
  ];
  await tellBatch(parts, ends);
  await state.writeEnds(ends);
  ports.metrics.uploads.inc({ lane: run.lane, result: 'error' }, final.length);
  if (pack.commit === 'batch') return;
  ports.metrics.uploads.inc({ lane: run.lane, result: 'ready' }, successes.length);
  for (const { stored } of successes) ports.metrics.assetBytes.observe(stored.size);
}

/** Notes what is stored where the end of the batch finds it; with `whole` also what is needless after its commit. */
async function leaveToBatch(parts: UploadParts, files: readonly Success[], whole: boolean) {
  const { ports, pack, run, state } = parts;
  const waiting = files.map(({ file, stored }): StoredFile => {
    const tries = { attempt: state.triesOf(file.assetId) + 1, maxAttempts: run.maxAttempts };
    const fence = run.nextFence(state.generation);
    return { facts: assetFacts(pack, file, run.jobId), stored, lane: run.lane, fence, ...tries };
  });
  const staged = whole ? await needlessKeys(parts) : [];
  await ports.storedFiles.put(pack.batchId, waiting, { jobId: run.jobId, staged });
}

/** How long a dependency that is away is waited for; `wait` is undefined when that is over. */
interface Patience {
  readonly now: number;
  readonly awaySince: number;
  readonly wait: number | undefined;
}

/** No file is open any more: a pack with any failed file, in this start or before, is a dead letter. */
async function ended(parts: UploadParts, failed: readonly Failure[], patience: Patience): Promise<Outcome> {
  const { pack, state } = parts;
  if (failed[0] === undefined) return pack.commit === 'batch' ? { end: 'done' } : tidy(parts, patience);
  const { committed, away } = await compensate(parts, failed);
  const [first, ...others] = failed.filter(({ file }) => !committed.has(file.assetId));
  if (first === undefined) return { end: 'done' };
  const error = summary(pack, first, others.length + 1);
  if (away && patience.wait !== undefined) return comeBack(parts, error, patience, patience.wait);
  await state.writeOver(error);
  return { end: 'failed', error };
}

/** Staged bytes are needed until their file is committed. While the store is away, the job comes back only for them. */
async function tidy(parts: UploadParts, patience: Patience): Promise<Outcome> {
  const { ports, pack } = parts;
  const needless = await needlessKeys(parts);
  const error = await deleteNeedless(ports, needless, { batchId: pack.batchId, what: 'Staged bytes' });
  if (!error?.unavailable || patience.wait === undefined) return { end: 'done' };
  return comeBack(parts, error, patience, patience.wait);
}

/** The job comes back for what is left to be tidied up; people go on to see `error`. */
async function comeBack(
  { ports, pack, run, state }: UploadParts,
  error: AppError,
  { now, awaySince }: Patience,
  inMs: number,
): Promise<Outcome> {
  // Its files have come to their ends: nobody cancels a job that waits only for this.
  await ports.cancellations.overrule(pack.batchId, run.jobId);
  await state.writeTrouble(error, { retryAt: now + inMs, awaySince, tries: [] });
  return { end: 'later', inMs };
}

function summary(pack: Pack, { file, error }: Failure, count: number): AppError {
  const message =
    pack.files.length === 1
      ? error.message
      : `${count} of ${pack.files.length} files failed; ${file.filename}: ${error.message}`;
  const { nextAction, details } = error;
  return new AppError(error.code, message, { nextAction, details: { ...details }, cause: error });
}
