import type { AssetFacts, StoredFacts } from '#domain';
import { AppError, type ErrorFacts, isErrorCode, toAppError } from '#errors';
import type { AssetRow, Metadata } from '#metadata/metadata.ts';
import type { Batches, FileEnd } from '#queues/batches.ts';
import type { FollowUps } from '#queues/follow-ups.ts';
import type { LiveJobs } from '#queues/live-jobs.ts';
import type { Repair } from '#queues/reconcile-reports.ts';
import type { Reopening } from '#queues/reopening.ts';
import type { Store } from '#storage/store.ts';
import { type CommitPorts, commitStored } from './commit-stored.ts';
import type { Finding, Look, Plan } from './reconcile-walk.ts';
import { reread } from './reread.ts';
import { missingObject, UPLOAD_AGAIN, type WithdrawPorts, withdraw } from './withdraw.ts';

export interface RepairPorts extends CommitPorts, WithdrawPorts, Reopening, Pick<FollowUps, 'endBatch' | 'recount'> {
  readonly store: CommitPorts['store'] & Pick<Store, 'get' | 'head' | 'quarantine'>;
  readonly metadata: WithdrawPorts['metadata'] & Pick<Metadata, 'getAssets' | 'applyStatuses'>;
  readonly batches: Pick<Batches, 'finish'>;
  readonly liveJobs: Pick<LiveJobs, 'verdict'>;
}

/** Codes of rows whose bytes may be whole all the same: the job that would have said so is gone, or the bytes came back. */
const MAY_BE_WHOLE: ReadonlySet<string> = new Set(['JOB_LOST', 'OBJECT_MISSING']);
/** A generation that no replay comes to: there is no job left to be replayed. */
const GIVEN_UP = 2 ** 31;
/** Later than any write of the start that failed, and earlier than those of a replay. */
const LAST_SEQUENCE = 2 ** 31;

/** Brings one key in order. */
export async function repairObject(ports: RepairPorts, finding: Finding, look: Look, plan: Plan): Promise<void> {
  const { assetId, subject: key } = finding.suspect;
  const row = assetId === undefined ? undefined : (await ports.metadata.getAssets([assetId]))[0];
  switch (finding.class) {
    case 'orphan-object':
      if (row && (await adopt(ports, finding, row, look, plan))) return;
      return quarantineOrphan(ports, finding, row, look, plan);
    case 'missing-object':
      await plan('marked');
      await takeOut(ports, row, missingObject(key), look);
      return startAgain(ports, finding, plan, 'marked');
    case 'size-mismatch':
    case 'checksum-mismatch':
      await plan('marked', 'quarantined');
      await takeOut(ports, row, damageOf(MISMATCH[finding.class], finding), look);
      return startAgain(ports, finding, plan, 'marked', 'quarantined');
    case 'stuck-status':
      if (!row) return;
      await plan('marked');
      return mark(ports, finding, row, await whyStuck(ports, finding, row));
    default:
      throw new Error(`Nothing repairs ${finding.class} here.`);
  }
}

const MISMATCH = { 'size-mismatch': 'SIZE_MISMATCH', 'checksum-mismatch': 'CHECKSUM_MISMATCH' } as const;

async function takeOut(ports: RepairPorts, row: AssetRow | undefined, error: ErrorFacts, look: Look): Promise<void> {
  if (!row?.checksum) return;
  const { assetId, s3Key, checksum, entity } = row;
  const unfit = { assetId, s3Key, checksum, project: entity.project, error };
  await withdraw(ports, [unfit], { name: 'reconcile', jobId: look.jobId });
  await ports.recount(entity.project, entity.session);
}

/** Has the job that brought the file do so again, while it is there. */
async function startAgain(ports: RepairPorts, { suspect }: Finding, plan: Plan, ...done: Repair[]): Promise<void> {
  const { jobId, assetId } = suspect;
  if (jobId === undefined || assetId === undefined) return;
  if (await ports.reopenFiles(jobId, [assetId])) await plan(...done, 'reenqueued');
}

/** Makes a file ready whose bytes are whole. False when they are not what its row says, or Convex refuses them. */
async function adopt(
  ports: RepairPorts,
  { suspect }: Finding,
  row: AssetRow,
  look: Look,
  plan: Plan,
): Promise<boolean> {
  const isOpen = row.status === 'pending' || row.status === 'uploading';
  const mayBe =
    isOpen || (row.status === 'error' && row.error && (row.error.retryable || MAY_BE_WHOLE.has(row.error.code)));
  const stored = mayBe ? await verify(ports, row, look) : undefined;
  if (!stored) return false;
  await plan('adopted');
  try {
    const { attempt, maxAttempts } = row;
    await commitStored(ports, {
      facts: factsOf(row, suspect.jobId),
      stored,
      attempt: Math.max(1, attempt),
      maxAttempts,
    });
  } catch (thrown) {
    if (toAppError(thrown).unavailable) throw thrown;
    return false;
  }
  await tellBatch(ports, row, 'ready');
  await ports.recount(row.entity.project, row.entity.session);
  return true;
}

/** Reads the object whole. A put leaves nothing at its key but what it verified; what the row tells besides must hold. */
async function verify(
  { store }: RepairPorts,
  { s3Key, ...row }: AssetRow,
  { signal }: Look,
): Promise<StoredFacts | undefined> {
  const found = await reread(store, s3Key, signal);
  if (!found) throw new AppError('NOT_FOUND', 'The object went away while it was looked at.');
  const { size, checksum, info } = found;
  if (row.size !== undefined && row.size !== size) return undefined;
  if ([row.checksum, info.checksum].some((one) => one !== undefined && one !== checksum)) return undefined;
  return { s3Key, size, checksum, verifiedBy: 'readback', contentType: info.contentType };
}

async function quarantineOrphan(
  ports: RepairPorts,
  finding: Finding,
  row: AssetRow | undefined,
  look: Look,
  plan: Plan,
): Promise<void> {
  const { subject: key } = finding.suspect;
  const isOpen = row?.status === 'pending' || row?.status === 'uploading';
  const reason = isOpen
    ? errorOf('CHECKSUM_MISMATCH', { detail: 'The object is not what was announced, and no job works on it.' })
    : (row?.error ?? errorOf(row ? 'GONE' : 'JOB_LOST', finding));
  await plan('quarantined', ...(isOpen ? (['marked'] as const) : []));
  await quarantine(ports, key, row?.assetId, reason, look);
  if (isOpen) await mark(ports, finding, row, { error: reason, fence: [GIVEN_UP, 0, 0] });
}

/** Noted first: what is moved and not noted would be nobody's. */
async function quarantine(
  { store, metadata }: RepairPorts,
  s3Key: string,
  assetId: string | undefined,
  reason: ErrorFacts,
  look: Look,
): Promise<void> {
  await metadata.putQuarantined([{ s3Key, assetId, reason, at: look.now }]);
  await store.quarantine(s3Key);
}

interface Mark {
  readonly error: ErrorFacts;
  readonly fence: [number, number, number];
}

/** The error of its dead letter, fenced as the last word of that start; or that nobody works on it. */
async function whyStuck({ liveJobs }: RepairPorts, finding: Finding, row: AssetRow): Promise<Mark> {
  const { jobId = '' } = finding.suspect;
  const verdict = await liveJobs.verdict(jobId, row.assetId);
  if (!verdict) return { error: errorOf('JOB_LOST', finding), fence: [GIVEN_UP, 0, 0] };
  const { generation, starts, error } = verdict;
  const code = isErrorCode(error.code) ? error.code : 'INTERNAL';
  return { error: errorOf(code, { detail: error.message }), fence: [generation, starts, LAST_SEQUENCE] };
}

/** Writes the row's error, unless there is newer news of it. */
async function mark(ports: RepairPorts, { suspect }: Finding, row: AssetRow, { error, fence }: Mark): Promise<void> {
  const { attempt, maxAttempts, size, progress } = row;
  const facts = factsOf(row, suspect.jobId);
  const update = { facts, fence, status: 'error', progress, size, attempt, maxAttempts, error } as const;
  await ports.metadata.applyStatuses([update]);
  await tellBatch(ports, row, error);
}

async function tellBatch(ports: RepairPorts, { batchId, assetId, correlationId }: AssetRow, end: FileEnd[1]) {
  const { last } = await ports.batches.finish(batchId, [[assetId, end]]);
  if (last) await ports.endBatch(batchId, correlationId);
}

function damageOf(code: ErrorFacts['code'], { detail }: Finding): ErrorFacts {
  return new AppError(code, detail, { nextAction: UPLOAD_AGAIN }).toFacts();
}

function errorOf(code: ErrorFacts['code'], { detail }: Pick<Finding, 'detail'>): ErrorFacts {
  return new AppError(code, detail).toFacts();
}

function factsOf(row: AssetRow, jobId = ''): AssetFacts {
  const { assetId, entity, assetType, filename, contentType, s3Key, acceptedSeq, visibility, metadata } = row;
  const { batchId, correlationId, createdBy, createdAt } = row;
  return {
    ...{ assetId, entity, assetType, filename, contentType, s3Key, acceptedSeq, visibility, metadata },
    ...{ batchId, jobId, correlationId, createdBy, createdAt },
  };
}
