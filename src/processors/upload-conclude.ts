import { AppError } from '#errors';
import { JOBS, type Pack, type PackFile } from '#queues/catalog.ts';
import type { Outcome } from './run.ts';
import type { Stage, UploadParts } from './upload.ts';
import { waitAfterAttempt, waitWhileAway } from './waits.ts';

interface Failure {
  readonly file: PackFile;
  readonly error: AppError;
}

/** What becomes of the job now that each file has come as far as it could. */
export async function conclude(parts: UploadParts, stages: readonly Stage[]): Promise<Outcome> {
  const { ports, pack, run, state, reporter } = parts;
  run.signal.throwIfAborted();
  const ready = stages.flatMap((stage) => ('stored' in stage ? [stage] : []));
  const failures = stages.flatMap((stage) => ('error' in stage ? [stage] : []));
  for (const { stored } of ready) ports.metrics.assetBytes.observe(stored.size);

  const now = ports.now();
  const awaySince = ready.length === 0 && state.awaySince !== undefined ? state.awaySince : now;
  const wait = waitWhileAway(now - awaySince, ports.random());
  const isAway = ({ error }: Failure) => error.unavailable && wait !== undefined;
  // A dependency that was away for a day has had its tries.
  const canRetry = ({ error }: Failure) => !error.unavailable && error.retryable && run.attempt < run.maxAttempts;
  const isOpen = (failure: Failure) => isAway(failure) || canRetry(failure);
  const open = failures.filter(isOpen);
  const final = failures.filter((failure) => !isOpen(failure));
  await finish(parts, ready, final);

  const [first] = open;
  if (first === undefined) return ended(parts, final);
  const away = open.find(isAway);
  const inMs = away && wait !== undefined ? wait : waitAfterAttempt(run.attempt, JOBS.upload.backoff, ports.random());
  const retryAt = now + inMs;
  await state.writeTrouble((away ?? first).error, { retryAt, awaySince: away && awaySince });
  for (const { file, error } of open) await reporter.report([file], 'uploading', { error, nextRetryAt: retryAt });
  ports.log.info({ batchId: pack.batchId, inMs, error: first.error.toFacts() }, 'Files of a pack are tried again');
  return away ? { end: 'later', inMs } : { end: 'retry', inMs, error: first.error };
}

/**
 * Tells everyone which files have come to their end. The job's own note comes last: a crash before it repeats
 * the whole, and every step of it may run twice.
 */
async function finish(
  parts: UploadParts,
  ready: readonly { file: PackFile }[],
  final: readonly Failure[],
): Promise<void> {
  const { ports, pack, run, state, reporter } = parts;
  if (ready.length + final.length === 0) return;
  // Fenced, and so before anything that is not: a run that lost its lock has no say in the batch.
  if (final[0]) await state.writeTrouble(final[0].error);
  await ports.outbox.forget(ready.map(({ file }) => file.assetId));
  for (const { file, error } of final) await reporter.report([file], 'error', { error });
  const ends = [
    ...ready.map(({ file }) => [file.assetId, 'ready'] as const),
    ...final.map(({ file, error }) => [file.assetId, error.toFacts()] as const),
  ];
  const { last } = await ports.batches.finish(pack.batchId, ends);
  if (last) await ports.endBatch(pack.batchId, pack.correlationId);
  await state.writeEnds(ends);
  ports.metrics.uploads.inc({ lane: run.lane, result: 'ready' }, ready.length);
  ports.metrics.uploads.inc({ lane: run.lane, result: 'error' }, final.length);
}

/** No file is open any more: a pack with any failed file, in this start or before, is a dead letter. */
async function ended(parts: UploadParts, final: readonly Failure[]): Promise<Outcome> {
  const { pack, state } = parts;
  const before = pack.files.flatMap((file): Failure[] => {
    const end = state.endOf(file.assetId);
    if (end === undefined || end === 'ready') return [];
    return [{ file, error: new AppError(end.code, end.message, { details: { ...end.details } }) }];
  });
  const failed = [...before, ...final];
  const [first] = failed;
  if (first) {
    const error = summary(pack, first, failed.length);
    await state.writeTrouble(error);
    return { end: 'failed', error };
  }
  await dropStaged(parts);
  return { end: 'done' };
}

function summary(pack: Pack, { file, error }: Failure, count: number): AppError {
  const message =
    pack.files.length === 1
      ? error.message
      : `${count} of ${pack.files.length} files failed; ${file.filename}: ${error.message}`;
  return new AppError(error.code, message, { details: { ...error.details }, cause: error });
}

/** Staged bytes are needed until their file is committed; what a failure here leaves behind, a sweep finds. */
async function dropStaged({ ports, pack }: UploadParts): Promise<void> {
  const keys = new Set(pack.files.flatMap(({ origin }) => (origin.kind === 'staged' ? [origin.key] : [])));
  if (keys.size === 0) return;
  await ports.store
    .deleteMany([...keys])
    .catch((err: unknown) => ports.log.warn({ err, batchId: pack.batchId }, 'Staged bytes were left behind'));
}
