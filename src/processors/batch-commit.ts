import type { AppError } from '#errors';
import type { Logger } from '#log';
import type { StatusUpdate } from '#metadata/metadata.ts';
import type { Metrics } from '#metrics';
import type { Batches, FileEnd } from '#queues/batches.ts';
import { cancelledError } from '#queues/cancellations.ts';
import type { StoredFile, StoredFiles } from '#queues/stored-files.ts';
import type { Store } from '#storage/store.ts';
import { unlessAborted } from '#storage/unless-aborted.ts';
import { errorOf } from './attempt.ts';
import { bringBack, quarantineRefused, type RefusalPorts } from './batch-refusals.ts';
import { type CancelPorts, cancelFiles } from './cancel-files.ts';
import { type CommitPorts, commitStored } from './commit-stored.ts';
import { deleteNeedless } from './delete-needless.ts';
import type { Run } from './run.ts';

export interface BatchCommitPorts extends CancelPorts, CommitPorts, RefusalPorts {
  readonly batches: Batches;
  readonly storedFiles: StoredFiles;
  readonly store: RefusalPorts['store'] & Pick<Store, 'signGet' | 'deleteMany'>;
  readonly metadata: CancelPorts['metadata'] & RefusalPorts['metadata'];
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Files that are committed together: what one mutation takes. */
const SLICE = 200;

/** What the end of a batch could not do. */
export interface Leftover {
  /** What Convex refused. */
  readonly refused: readonly AppError[];
  /** Why bytes are still where they should not be: store or Convex are away, and are asked again. */
  readonly untidied: AppError | undefined;
}

type End = { readonly file: StoredFile; readonly end: 'ready' | AppError };

/**
 * Commits what the packs of a batch have stored and left to its end, and deletes what nobody needs then. A repeat goes
 * on with what is left. Throws `METADATA_UNAVAILABLE` when that is files to commit.
 */
export async function commitBatch(ports: BatchCommitPorts, batchId: string, run: Run): Promise<Leftover> {
  const { storedFiles } = ports;
  const refused: AppError[] = [];
  let untidied: AppError | undefined;
  const waiting = await storedFiles.list(batchId);
  for (let at = 0; at < waiting.length; at += SLICE) {
    run.signal.throwIfAborted();
    run.park.throwIfAborted();
    const files = await storedFiles.get(batchId, waiting.slice(at, at + SLICE));
    const left = await commitSlice(ports, batchId, files, run);
    refused.push(...left.refused);
    untidied ??= left.untidied;
  }
  const needless = await storedFiles.needless(batchId);
  const keys = needless.flatMap((pack) => pack.keys);
  const error = await deleteNeedless(ports, keys, { batchId, what: 'Staged bytes' });
  if (!error) {
    const jobIds = needless.map(({ jobId }) => jobId);
    await storedFiles.forgetStaged(batchId, jobIds);
  }
  return { refused, untidied: untidied ?? away(error) };
}

const away = (error: AppError | undefined) => (error?.unavailable ? error : undefined);

async function commitSlice(
  ports: BatchCommitPorts,
  batchId: string,
  files: readonly StoredFile[],
  run: Run,
): Promise<Leftover> {
  const { cancellations } = ports;
  const owner = `${run.jobId}/${run.starts}`;
  const jobIds = [...new Set(files.map(({ facts }) => facts.jobId))];
  const cancelled = await cancellations.claim(batchId, jobIds, { owner, commits: true });
  const given: End[] = [];
  for (const jobId of cancelled) {
    given.push(
      ...(await cancelStored(
        ports,
        batchId,
        jobId,
        files.filter(({ facts }) => facts.jobId === jobId),
      )),
    );
  }
  const left = files.filter(({ facts }) => !cancelled.has(facts.jobId));
  const ends = [...given, ...(await Promise.all(left.map((file) => commitOne(ports, file, run))))];
  const isAway = ({ end }: End) => end !== 'ready' && end.unavailable;
  const untidied = await finish(
    ports,
    batchId,
    ends.filter((one) => !isAway(one)),
  );

  const open = ends.filter(isAway);
  const [first] = open;
  if (first && first.end !== 'ready') {
    await cancellations.release(batchId, [...new Set(open.map(({ file }) => file.facts.jobId))], owner);
    throw first.end;
  }
  return { refused: ends.flatMap(({ end }) => (end === 'ready' || end.code === 'CANCELLED' ? [] : [end])), untidied };
}

async function commitOne(ports: BatchCommitPorts, file: StoredFile, run: Run): Promise<End> {
  try {
    const stored = file.refused ? await bringBack(ports, file, run) : file.stored;
    await unlessAborted(run.signal, commitStored(ports, { ...file, stored }));
    return { file, end: 'ready' };
  } catch (thrown) {
    return { file, end: errorOf(run, thrown) };
  }
}

/** Files of a pack that was cancelled after it had stored them. */
async function cancelStored(
  ports: BatchCommitPorts,
  batchId: string,
  jobId: string,
  files: readonly StoredFile[],
): Promise<End[]> {
  const error = cancelledError();
  const updates = files.map((file) => failedStatus(file, error));
  const ready = await cancelFiles(ports, { batchId, jobId }, updates);
  if (ready.size === files.length) await ports.cancellations.overrule(batchId, jobId);
  return files.map((file) => ({ file, end: ready.has(file.facts.assetId) ? 'ready' : error }));
}

/**
 * Tells everyone, and deletes the bytes of what was cancelled. A file stays among those that wait when its commit was
 * refused (a replay asks again), or when it was cancelled while the store is away, which this answers.
 */
async function finish(ports: BatchCommitPorts, batchId: string, ends: readonly End[]): Promise<AppError | undefined> {
  const { outbox, batches, storedFiles, metrics } = ports;
  const idsOf = (some: readonly End[]) => some.map(({ file }) => file.facts.assetId);
  const ready = ends.filter(({ end }) => end === 'ready');
  const cancelled = ends.filter(({ end }) => end !== 'ready' && end.code === 'CANCELLED');
  const refused = ends.filter((one) => !ready.includes(one) && !cancelled.includes(one));
  await outbox.forget(idsOf(ready));
  const refusedFiles = refused.flatMap(({ file, end }) => (end === 'ready' ? [] : [{ file, error: end }]));
  await outbox.put(refusedFiles.map(({ file, error }) => failedStatus(file, error)));
  await batches.finish(
    batchId,
    ends.map(({ file: { facts, attempt, maxAttempts }, end }): FileEnd => {
      return [facts.assetId, end === 'ready' ? end : { ...end.toFacts(), attempt, maxAttempts }];
    }),
  );
  const keys = cancelled.map(({ file }) => file.stored.s3Key);
  const error = away(await deleteNeedless(ports, keys, { batchId, what: 'Bytes of cancelled files' }));
  const over = error ? ready : [...ready, ...cancelled];
  await storedFiles.remove(batchId, idsOf(over));
  for (const { file, end } of [...over, ...refused]) {
    const result = end === 'ready' ? end : end.code === 'CANCELLED' ? 'cancelled' : 'error';
    metrics.uploads.inc({ lane: file.lane, result });
    if (end === 'ready') metrics.assetBytes.observe(file.stored.size);
  }
  return error ?? quarantineRefused(ports, batchId, refusedFiles);
}

function failedStatus({ facts, stored, fence, attempt, maxAttempts }: StoredFile, error: AppError): StatusUpdate {
  const [generation, starts, sequence] = fence;
  return {
    ...{ facts, attempt, maxAttempts, size: stored.size },
    fence: [generation, starts, sequence + 1],
    status: 'error',
    progress: 1,
    error: error.toFacts(),
  };
}
