import process from 'node:process';
import { STORM } from '#test/chaos/plans.ts';
import { printReport } from '#test/chaos/report.ts';
import { type ChaosReport, runChaos } from '#test/chaos/run.ts';
import { startRgw } from '#test/rgw.ts';
import { atLeast, type Chapter, equal, type Figure } from './figures.ts';

/** 5,000 files while workers are killed every two seconds, Redis three times, and store and Convex are cut. */
export const chaos: Chapter = {
  name: 'chaos',
  command: `5,000 files of 1 KB to 50 MB by POST /v1/uploads (seed ${STORM.seed}); kill -9 of a worker every 2 s`,
  async run() {
    const rgw = await startRgw({ objectStore: 'bluestore', bytes: 4 * STORM.cargo.bytes });
    const report = await runChaos(STORM, { store: rgw.env, bucket: 'chaos' }).finally(() => rgw.stop());
    process.stdout.write(`${printReport(report)}\n`);
    return [...faults(report), ...promises(report)];
  },
};

function faults({ faults, kills, seconds, plan }: ChaosReport): Figure[] {
  return [
    { what: 'from the first request to quiet', figure: `${seconds.toFixed(0)} s`, goal: '(none)', met: true },
    atLeast('files sent', plan.cargo.files, 5_000, 'files'),
    { what: 'kill -9 of workers', figure: String(kills), goal: '(none)', met: true },
    ...faults.map(({ fault, hit, hits, least }) => atLeast(`${fault}: ${hit}`, hits, least, 'hits')),
  ];
}

function promises({ verdicts }: ChaosReport): Figure[] {
  return verdicts.map(({ promise, broken, forgiven }) =>
    forgiven
      ? { what: `${promise} to reconciliation`, figure: String(broken.length), goal: '(none)', met: true }
      : equal(promise, broken.length, 0),
  );
}
