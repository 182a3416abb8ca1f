import type { ChaosReport } from './run.ts';

const SHOWN = 5;

/** True when enough faults hit and every promise was kept. */
export function isGood({ faults, verdicts }: ChaosReport): boolean {
  return (
    faults.every(({ hits, least }) => hits >= least) &&
    verdicts.every(({ broken, forgiven }) => forgiven || broken.length === 0)
  );
}

/** The table of faults, and that of promises with the first of what broke each. */
export function printReport(report: ChaosReport): string {
  const { plan, kills, refused, unanswered, seconds } = report;
  const { files, bytes } = plan.cargo;
  return [
    `seed ${plan.seed}: ${files} files, ${(bytes / 1e9).toFixed(2)} GB, ${plan.workers} workers, ${seconds.toFixed(0)} s`,
    `kill -9 of workers: ${kills}; requests sent again: ${refused} refused, ${unanswered} without an answer`,
    '',
    row('fault', 'made', 'hits', 'at least', ''),
    ...report.faults.map(({ fault, hit, planned, hits, least }) =>
      row(fault, planned, hits, least, `${hit}${hits < least ? '   TOO FEW' : ''}`),
    ),
    '',
    ...report.verdicts.flatMap(({ promise, broken, forgiven }) => [
      `${promise.padEnd(36)} ${String(broken.length).padStart(6)}${broken.length > 0 ? (forgiven ? '   left to reconciliation' : '   BROKEN') : ''}`,
      ...broken.slice(0, SHOWN).map((what) => `    ${what}`),
    ]),
    '',
    isGood(report) ? 'Every promise was kept.' : 'NOT GOOD: see above.',
  ].join('\n');
}

function row(fault: string, ...cells: (string | number)[]): string {
  const what = cells.pop();
  return `${fault.padEnd(36)} ${cells.map((cell) => String(cell).padStart(8)).join(' ')}   ${what}`.trimEnd();
}
