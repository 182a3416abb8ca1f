import type { FindingClass, ReconcileReport, Scanned } from '#queues/reconcile-reports.ts';
import type { OpenPage } from './reconcile-progress.ts';

/** Findings of a class that are mended, however large a share of all they are. */
const FEW = 100;
/** What is more than this share of all that was looked at is rather another bucket, deployment or Redis than damage. */
const SHARE = 0.1;

/** What a class is a share of. Mending one that is not here takes nothing away. */
const SHARE_OF: Readonly<Partial<Record<FindingClass, Scanned>>> = {
  'orphan-object': 'objects',
  'missing-object': 'rows',
  'size-mismatch': 'rows',
  'checksum-mismatch': 'rows',
  'stuck-status': 'rows',
  'stale-upload': 'uploads',
  'stale-staging': 'staging',
  'lost-quarantine': 'quarantined',
};

/**
 * Classes of which too much was found, up to this page and with it, for any of it to be mended unasked: a store that answers
 * for the wrong bucket shows every object as missing.
 */
export function heldBack(report: ReconcileReport, { findings, page }: OpenPage): ReadonlySet<FindingClass> {
  const held = new Set<FindingClass>();
  if (report.force) return held;
  for (const name of new Set(findings.map((finding) => finding.class))) {
    const whole = SHARE_OF[name];
    if (whole === undefined) continue;
    const found = report.classes[name].found + findings.filter((finding) => finding.class === name).length;
    const scanned = report.scanned[whole] + (page.scanned[whole] ?? 0);
    if (found > Math.max(FEW, scanned * SHARE)) held.add(name);
  }
  return held;
}
