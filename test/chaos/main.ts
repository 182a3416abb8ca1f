import { writeFile } from 'node:fs/promises';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { startRgw } from '#test/rgw.ts';
import { LONG } from './plans.ts';
import { isGood, printReport } from './report.ts';
import { runChaos } from './run.ts';

const HELP = `npm run chaos [-- OPTIONS]
Uploads files by a real API and workers on Ceph RGW while processes are killed and wires cut, and then
walks store, Convex and Redis. Exits with 1 when a promise was broken, or too few faults hit anything.

  --seed NUMBER      what files, requests and the order of faults follow from (the time, unless given)
  --files NUMBER     files (${LONG.cargo.files})
  --bytes NUMBER     bytes of them all (${LONG.cargo.bytes})
  --largest NUMBER   bytes of the largest (${LONG.cargo.largest})
  --workers NUMBER   worker processes (${LONG.workers})
  --log FILE         writes there what the processes said
  --help             shows this
`;

const number = { type: 'string' } as const;
const { values } = parseArgs({
  options: {
    ...{ seed: number, files: number, bytes: number, largest: number, workers: number, log: number },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const given = (name: 'seed' | 'files' | 'bytes' | 'largest' | 'workers', fallback: number) => {
  const value = Number(values[name] ?? fallback);
  if (Number.isSafeInteger(value) && value > 0) return value;
  process.stderr.write(`--${name} must be a whole number above 0.\n${HELP}`);
  process.exit(2);
};
const plan = {
  ...LONG,
  seed: given('seed', Date.now() % 1_000_000),
  workers: given('workers', LONG.workers),
  cargo: {
    files: given('files', LONG.cargo.files),
    bytes: given('bytes', LONG.cargo.bytes),
    largest: given('largest', LONG.cargo.largest),
  },
};
process.stdout.write(`seed ${plan.seed}\n`);
const rgw = await startRgw({ objectStore: 'bluestore', bytes: 4 * plan.cargo.bytes + 4 * 1024 ** 3 });
const begun = performance.now();
const tell = (what: string) =>
  void process.stderr.write(`${((performance.now() - begun) / 1_000).toFixed(0).padStart(5)} s  ${what}\n`);
const report = await runChaos(plan, { store: rgw.env, bucket: 'chaos', tell }).finally(() => rgw.stop());
if (values.log !== undefined) await writeFile(values.log, `${report.said.join('\n')}\n`);
process.stdout.write(`\n${printReport(report)}\n`);
process.exit(isGood(report) ? 0 : 1);
