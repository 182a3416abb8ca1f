import pLimit from 'p-limit';
import type { AuditLog } from '#metadata/audit-log.ts';
import { LockLostError } from '#queues/job-facts.ts';
import { newReport, type ReconcileOrder, type ReconcileReports, type Repair } from '#queues/reconcile-reports.ts';
import { toJobError } from '#queues/redis-errors.ts';
import { heldBack } from './reconcile-brake.ts';
import {
  type Mended,
  type OpenPage,
  type Progress,
  type ProgressFacts,
  progressIn,
  withPage,
} from './reconcile-progress.ts';
import type { Finding, Look, Walk } from './reconcile-walk.ts';
import type { Processor, Run } from './run.ts';

export interface ReconcilePorts {
  /** What it goes through, one after the other. */
  readonly walks: readonly Walk[];
  readonly reports: Pick<ReconcileReports, 'get' | 'put' | 'open' | 'begin'>;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly now: () => number;
}

/** Another one has to be over first, in milliseconds. */
const TURN_WAIT = 5_000;
/** Findings that are judged, and then repaired, together. */
const SLICE = 50;
const REPAIRED_AT_ONCE = 8;

/**
 * Goes through store, Convex and Redis, says what differs, and with `repair` brings it in order. Its place is kept a page at a
 * time. A finding is judged by the newest facts before it is reported, and once more before it is repaired.
 */
export function reconcileProcessor(ports: ReconcilePorts): Processor<'reconcile'> {
  return async (order, run) => {
    const { reports, walks } = ports;
    // Scheduled jobs have ids that no path of ours takes.
    const jobId = run.jobId.replaceAll(':', '-');
    if (!(await reports.begin(run.jobId))) return { end: 'later', inMs: TURN_WAIT };
    const facts = progressIn(run.facts);
    const save = async (next: Progress) => {
      await facts.write(next);
      await reports.put(next.report);
      progress = next;
    };
    let progress = await begin(ports, { ...order, requestedAt: order.requestedAt ?? run.addedAt }, jobId, facts);
    const signal = AbortSignal.any([run.signal, run.park]);
    try {
      for (let walk = walks[progress.walks]; walk; walk = walks[progress.walks]) {
        stopIfAsked(run);
        run.progress(progress.walks / walks.length);
        const look = { jobId, prefix: progress.report.prefix, now: ports.now(), signal };
        await step(ports, { walk, look, facts, run }, progress, save);
      }
      await save({ ...progress, report: { ...progress.report, state: 'done', finishedAt: ports.now() } });
      return { end: 'done' };
    } catch (thrown) {
      const error = toJobError(thrown);
      if (isGivenBack(run, thrown) || error.unavailable) throw thrown;
      if (!error.retryable || run.attempt >= run.maxAttempts) {
        const end = { state: 'failed', error: error.toFacts(), finishedAt: ports.now() } as const;
        await save({ ...progress, report: { ...progress.report, ...end } });
      }
      throw thrown;
    }
  };
}

/** Where an earlier start left off, or the beginning. */
async function begin(
  { reports, now }: ReconcilePorts,
  order: ReconcileOrder,
  jobId: string,
  facts: ProgressFacts,
): Promise<Progress> {
  const earlier = await facts.read();
  if (earlier)
    return { ...earlier, report: { ...earlier.report, state: 'running', error: undefined, finishedAt: undefined } };
  const report = { ...newReport(jobId, order), state: 'running', startedAt: now() } as const;
  // Nobody asked for one that comes by schedule.
  if (await reports.get(jobId)) await reports.put(report);
  else await reports.open(report);
  return { report, walks: 0 };
}

/** Aborted, or another's by now: whoever goes on writes the report. */
const isGivenBack = ({ signal, park }: Run, thrown: unknown) =>
  signal.aborted || park.aborted || thrown instanceof LockLostError;

interface Step {
  readonly walk: Walk;
  readonly look: Look;
  readonly facts: ProgressFacts;
  readonly run: Run;
}

/** One page: judged, noted, repaired, counted. */
async function step(
  ports: ReconcilePorts,
  parts: Step,
  progress: Progress,
  save: (next: Progress) => Promise<void>,
): Promise<void> {
  const { report, walks } = progress;
  const open = progress.open ?? (await judgedPage(parts, progress.place));
  const held = heldBack(report, open);
  const due = report.repair ? open.findings.filter((finding) => !held.has(finding.class)) : [];
  if (due.length > 0 && !progress.open) await save({ ...progress, open });
  const mended = await repairAll(ports, parts, due);
  const { next } = open.page;
  const place = next === undefined ? { walks: walks + 1 } : { walks, place: next };
  await save({ report: withPage(report, open, mended), ...place });
}

async function judgedPage({ walk, look, run }: Step, place: string | undefined): Promise<OpenPage> {
  const { suspects, ...page } = await walk.page(place, look);
  const findings: Finding[] = [];
  for (let at = 0; at < suspects.length; at += SLICE) {
    stopIfAsked(run);
    findings.push(...(await walk.judge(suspects.slice(at, at + SLICE), look)));
  }
  return { findings, page };
}

/** What an earlier start had planned for a finding that is none any more was done by it. */
async function repairAll(
  ports: ReconcilePorts,
  parts: Step,
  findings: readonly Finding[],
): Promise<Map<Finding, Mended>> {
  const { walk, look, facts, run } = parts;
  const plans = findings.length > 0 ? await facts.readPlans() : [];
  const mended = new Map<Finding, Mended>();
  for (let from = 0; from < findings.length; from += SLICE) {
    stopIfAsked(run);
    const slice = findings.slice(from, from + SLICE);
    const still = await walk.judge(
      slice.map(({ suspect }) => suspect),
      look,
    );
    const now = new Map(still.map((finding) => [keyOf(finding), finding]));
    const done = await pLimit(REPAIRED_AT_ONCE).map(slice, async (noted, at): Promise<Mended> => {
      const finding = now.get(keyOf(noted));
      if (!finding) return { repairs: plans[from + at] ?? [] };
      const plan = async (...repairs: readonly Repair[]) => {
        run.signal.throwIfAborted();
        plans[from + at] = repairs;
        await facts.writePlans(Array.from(plans, (one) => one ?? null));
        await ports.audit.record(deedOf(finding, repairs, look));
      };
      try {
        await walk.repair(finding, look, plan);
        return { repairs: plans[from + at] ?? [] };
      } catch (thrown) {
        const error = toJobError(thrown);
        if (error.unavailable || isGivenBack(run, thrown)) throw thrown;
        return { repairs: [], error: error.toFacts() };
      }
    });
    for (const [at, finding] of slice.entries()) mended.set(finding, done[at] ?? { repairs: [] });
  }
  return mended;
}

const keyOf = ({ suspect: { subject, uploadId = '' } }: Finding) => `${subject}\0${uploadId}`;

function deedOf({ class: name, suspect, detail }: Finding, repairs: readonly Repair[], { jobId }: Look) {
  return {
    entryId: `reconcile-${jobId}-${name}-${suspect.subject}-${suspect.uploadId ?? ''}-${repairs.join('-')}`,
    actor: { kind: 'service' as const, id: 'reconcile' },
    action: `reconcile.${name}`,
    target: suspect.assetId ?? suspect.subject,
    details: { subject: suspect.subject, detail, repairs },
    correlationId: jobId,
  };
}

/** Between pages and slices a run stops as it is: it goes on from its last note. */
function stopIfAsked({ signal, park }: Run): void {
  signal.throwIfAborted();
  park.throwIfAborted();
}
