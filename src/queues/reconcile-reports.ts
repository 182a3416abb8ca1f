import type { Job, Queue } from 'bullmq';
import { AppError, type ErrorFacts } from '#errors';
import type { RedisConnection } from '#redis/connection.ts';
import { newReconcileId } from './ids.ts';
import { jobOptions, type Lanes } from './lanes.ts';
import { isSoleRun } from './sole-run.ts';

/** What may be found wrong; docs/reconciliation.md says of each how it is known and mended. */
export const FINDING_CLASSES = [
  'orphan-object',
  'missing-object',
  'size-mismatch',
  'checksum-mismatch',
  'stuck-status',
  'stuck-batch',
  'stale-upload',
  'stale-staging',
  'drifted-totals',
  'unnoted-quarantine',
  'lost-quarantine',
] as const;
export type FindingClass = (typeof FINDING_CLASSES)[number];

/** What a repair did. */
export type Repair =
  | ('adopted' | 'quarantined' | 'marked' | 'reenqueued' | 'recounted' | 'aborted' | 'deleted')
  | ('ended' | 'noted' | 'forgotten');

/** What a reconciliation goes through. */
export const SCANNED = ['objects', 'rows', 'uploads', 'staging', 'quarantined', 'sessions', 'batches'] as const;
export type Scanned = (typeof SCANNED)[number];

/** One thing that is wrong: a key, or the id of a session or batch. */
export interface FindingExample {
  readonly subject: string;
  readonly assetId?: string | undefined;
  /** In a sentence. */
  readonly detail: string;
  /** Why it could not be repaired. */
  readonly error?: ErrorFacts | undefined;
}

/** What was found of a class. Counts are exact, examples the first ones. */
export interface ClassReport {
  readonly found: number;
  readonly repaired: Readonly<Partial<Record<Repair, number>>>;
  /** Repairs that failed; the next run finds the same again. */
  readonly failed: number;
  /** Not repaired since there were so many: see `force`. */
  readonly held: number;
  readonly examples: readonly FindingExample[];
}

/** How far a reconciliation has come and what it found; times in milliseconds since the epoch. */
export interface ReconcileReport {
  readonly jobId: string;
  readonly state: 'waiting' | 'running' | 'done' | 'failed';
  /** Keys that it is about; all when empty. */
  readonly prefix: string;
  readonly repair: boolean;
  /** Repairs a class as well of which more was found than damage explains. */
  readonly force: boolean;
  /** Who asked: id of a key, or `schedule`. */
  readonly requestedBy: string;
  readonly requestedAt: number;
  readonly startedAt?: number | undefined;
  readonly finishedAt?: number | undefined;
  readonly error?: ErrorFacts | undefined;
  readonly scanned: Readonly<Record<Scanned, number>>;
  readonly classes: Readonly<Record<FindingClass, ClassReport>>;
}

/** Reports of reconciliations; each is kept for 30 days. */
export interface ReconcileReports {
  /** Writes a new one, which is the latest from now on. */
  open(report: ReconcileReport): Promise<void>;
  put(report: ReconcileReport): Promise<void>;
  get(jobId: string): Promise<ReconcileReport | undefined>;
  /** That of the reconciliation asked for last. */
  latest(): Promise<ReconcileReport | undefined>;
  /** True when this one may run: one at a time does, and the others wait. */
  begin(jobId: string): Promise<boolean>;
}

/** What somebody asks of a reconciliation. */
export type ReconcileOrder = Pick<ReconcileReport, 'prefix' | 'repair' | 'force' | 'requestedBy' | 'requestedAt'>;

const TTL_SECONDS = 30 * 86_400;
/** Under `prefix`; `maintenance` is the lane of these jobs. */
export function createReconcileReports(redis: RedisConnection, prefix: string, maintenance: Queue): ReconcileReports {
  const key = (jobId: string) => `${prefix}:reconcile:${jobId}`;
  const latest = `${prefix}:reconcile-latest`;
  async function get(jobId: string): Promise<ReconcileReport | undefined> {
    const text = await redis.get(key(jobId));
    return text === null ? undefined : (JSON.parse(text) as ReconcileReport);
  }
  const put = async (report: ReconcileReport) =>
    void (await redis.set(key(report.jobId), JSON.stringify(report), 'EX', TTL_SECONDS));
  return {
    async open(report) {
      await put(report);
      await redis.set(latest, report.jobId, 'EX', TTL_SECONDS);
    },
    put,
    get,
    async latest() {
      const jobId = await redis.get(latest);
      return jobId === null ? undefined : get(jobId);
    },
    begin: (jobId) => isSoleRun(redis, `${prefix}:reconcile-job`, maintenance, jobId),
  };
}

/** A report with nothing found yet. */
export function newReport(jobId: string, order: ReconcileOrder): ReconcileReport {
  const none: ClassReport = { found: 0, repaired: {}, failed: 0, held: 0, examples: [] };
  const classes = Object.fromEntries(FINDING_CLASSES.map((name) => [name, none]));
  return {
    ...{ jobId, state: 'waiting', ...order },
    scanned: Object.fromEntries(SCANNED.map((name) => [name, 0])) as ReconcileReport['scanned'],
    classes: classes as ReconcileReport['classes'],
  };
}

/** Ids of scheduled jobs as reports have them: no path of ours takes a `:`. */
const SCHEDULED = /^repeat-(.+)-(\d+)$/;
/** A report is written before its job, which is there after so many milliseconds or never. */
const BEING_ADDED = 60_000;

/** Reconciliations for those who ask for them. */
export interface Reconciles extends Pick<ReconcileReports, 'get' | 'latest'> {
  /** Asks a worker for one; resolved means Redis has job and report. */
  start(order: ReconcileOrder): Promise<ReconcileReport>;
}

/** Over the reports under `prefix`, and the jobs of lane `maintenance`. */
export function createReconciles(
  redis: RedisConnection,
  prefix: string,
  { maintenance }: Pick<Lanes, 'maintenance'>,
  clock: () => number,
): Reconciles {
  const { get, latest, open } = createReconcileReports(redis, prefix, maintenance);
  /** A job that ends without its processor, as one that crashed too often or was removed, writes nothing. */
  async function asItEnded(report: ReconcileReport | undefined): Promise<ReconcileReport | undefined> {
    if (report?.state !== 'waiting' && report?.state !== 'running') return report;
    const jobId = report.jobId.replace(SCHEDULED, 'repeat:$1:$2');
    const state = await maintenance.getJobState(jobId);
    const isGone = state === 'unknown' && clock() - report.requestedAt > BEING_ADDED;
    if (state !== 'failed' && !isGone) return report;
    const job: Job | undefined = await maintenance.getJob(jobId);
    const error = job
      ? new AppError('INTERNAL', job.failedReason ?? 'Its job failed.')
      : new AppError('JOB_LOST', 'Its job is gone.', { nextAction: 'Ask for another one.' });
    return { ...report, state: 'failed', error: error.toFacts(), finishedAt: job?.finishedOn };
  }
  return {
    get: async (jobId) => asItEnded(await get(jobId)),
    latest: async () => asItEnded(await latest()),
    async start(order) {
      const report = newReport(newReconcileId(), order);
      await open(report);
      await maintenance.add('reconcile', order, jobOptions('reconcile', report.jobId));
      return report;
    },
  };
}
