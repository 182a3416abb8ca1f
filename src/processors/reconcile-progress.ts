import type { ErrorFacts } from '#errors';
import type { JobFacts } from '#queues/job-facts.ts';
import type { FindingClass, ReconcileReport, Repair, Scanned } from '#queues/reconcile-reports.ts';
import type { Finding, WalkPage } from './reconcile-walk.ts';

/** How far a reconciliation has come: written as one, so that a run that was killed goes on and counts all once. */
export interface Progress {
  readonly report: ReconcileReport;
  /** Walks that are done, and the place in the next one. */
  readonly walks: number;
  readonly place?: string | undefined;
  /** Findings of the page after it that are being repaired. */
  readonly open?: OpenPage | undefined;
}

/** A page that was judged, and is being repaired. */
export interface OpenPage {
  readonly findings: readonly Finding[];
  readonly page: Pick<WalkPage, 'scanned' | 'next'>;
}

/** What became of a finding's repair: what was planned before each deed, and why it failed. */
export interface Mended {
  readonly repairs: readonly Repair[];
  readonly error?: ErrorFacts | undefined;
}

const PROGRESS = 'progress';
const PLANS = 'plans';
/** Examples of a class in a report. */
const EXAMPLES = 100;

/** The job's fenced hash, as far as reconciliation writes it. */
export interface ProgressFacts {
  read(): Promise<Progress | undefined>;
  write(progress: Progress): Promise<void>;
  /** What was planned for the findings of the open page, by their place in it; a crash comes after the plan. */
  readPlans(): Promise<(readonly Repair[] | null)[]>;
  writePlans(plans: readonly (readonly Repair[] | null)[]): Promise<void>;
}

/** In the facts of one job; a write without its lock throws `LockLostError`. */
export function progressIn(facts: JobFacts): ProgressFacts {
  const read = async <T>(field: string) => {
    const { [field]: text } = await facts.read();
    return text ? (JSON.parse(text) as T) : undefined;
  };
  return {
    read: () => read(PROGRESS),
    write: (progress) => facts.write({ [PROGRESS]: JSON.stringify(progress), [PLANS]: '' }),
    readPlans: async () => (await read<(readonly Repair[] | null)[]>(PLANS)) ?? [],
    writePlans: (plans) => facts.write({ [PLANS]: JSON.stringify(plans) }),
  };
}

/** The report with what a page brought. What `mended` does not have was held back, when there was anything to be mended. */
export function withPage(
  report: ReconcileReport,
  { findings, page }: OpenPage,
  mended: ReadonlyMap<Finding, Mended>,
): ReconcileReport {
  const scanned: Record<Scanned, number> = { ...report.scanned };
  for (const [name, count] of Object.entries(page.scanned)) scanned[name as Scanned] += count;
  const classes: Record<FindingClass, ReconcileReport['classes'][FindingClass]> = { ...report.classes };
  for (const finding of findings) {
    const { found, repaired, failed, held, examples } = classes[finding.class];
    const { repairs = [], error } = mended.get(finding) ?? {};
    const { subject, assetId } = finding.suspect;
    const example = { subject, ...(assetId !== undefined && { assetId }), detail: finding.detail, error };
    classes[finding.class] = {
      found: found + 1,
      repaired: error ? repaired : withRepairs(repaired, repairs),
      failed: failed + (error ? 1 : 0),
      held: held + (report.repair && !mended.has(finding) ? 1 : 0),
      examples: examples.length < EXAMPLES ? [...examples, example] : examples,
    };
  }
  return { ...report, scanned, classes };
}

function withRepairs(counts: Readonly<Partial<Record<Repair, number>>>, repairs: readonly Repair[]) {
  const sum = { ...counts };
  for (const repair of repairs) sum[repair] = (sum[repair] ?? 0) + 1;
  return sum;
}
