import { join } from 'node:path';
import pLimit from 'p-limit';
import { createClient, type ReconcileReport } from '#client/client.ts';
import { openBatchesKey } from '#queues/open-batches.ts';
import { FINDING_CLASSES, type FindingClass, type Repair } from '#queues/reconcile-reports.ts';
import { connectRedis, whenConnected } from '#redis/connection.ts';
import { type Deployment, openDeployment } from '#test/deployment.ts';
import { type Faults, openFaults } from '#test/faults.ts';
import { startRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import { atMost, type Chapter, equal, type Figure, peakResident, timed } from './figures.ts';

const OBJECTS = 100_000;
/** Of each class. */
const FAULTS = 50;
/** Files of one commit. */
const SLICE = 200;
const PREFIX = 'reelay';
const WITHIN = 900_000;

/** What mends one of a class. */
const MENDS: Readonly<Record<FindingClass, readonly Repair[]>> = {
  ...{ 'orphan-object': ['quarantined'], 'missing-object': ['marked'], 'stuck-status': ['marked'] },
  ...{ 'size-mismatch': ['marked', 'quarantined'], 'checksum-mismatch': ['marked', 'quarantined'] },
  ...{ 'stuck-batch': ['ended'], 'stale-upload': ['aborted'], 'stale-staging': ['deleted'] },
  ...{ 'drifted-totals': ['recounted'], 'unnoted-quarantine': ['noted'], 'lost-quarantine': ['forgotten'] },
};

/** Many objects and rows, faults of each class among them: told, mended by a worker that is killed, and told again. */
export const reconcile: Chapter = {
  name: 'reconcile',
  command: `reelay reconcile [--repair], with ${OBJECTS.toLocaleString('en')} objects and rows and ${FAULTS} faults of each class`,
  async run() {
    const server = await startRedis();
    const deployment = await openDeployment(server.url);
    const redis = connectRedis(server.url, 'worker', () => undefined);
    await whenConnected(redis, 10_000);
    try {
      const { metadata, dir } = deployment;
      const faults = openFaults({ metadata, redis, prefix: PREFIX, storeDir: join(dir, 'objects'), hasty: true });
      const { seconds, answer: made } = await timed(() => seed(faults));
      const figures = await measure(deployment, made, () => redis.zcard(openBatchesKey(PREFIX)));
      return [{ what: 'seeded in', figure: `${seconds.toFixed(0)} s`, goal: '(none)', met: true }, ...figures];
    } finally {
      redis.disconnect();
      await deployment.remove();
      await server.stop();
    }
  },
};

type Made = ReadonlyMap<FindingClass, ReadonlySet<string>>;

async function seed(faults: Faults): Promise<Made> {
  const slices = Array.from({ length: OBJECTS / SLICE }, (_, index) => index);
  await pLimit(4).map(slices, (n) =>
    faults.sound(SLICE, { project: 'sound', session: `s${n % 20}`, scene: `scene-${n}` }),
  );
  const made = new Map<FindingClass, Set<string>>();
  for (const name of FINDING_CLASSES) {
    const subjects = new Set<string>();
    for (let n = 0; n < FAULTS; n += 1) subjects.add(await faults.make(name));
    made.set(name, subjects);
  }
  await faults.countAll();
  return made;
}

async function measure(deployment: Deployment, made: Made, openBatches: () => Promise<number>): Promise<Figure[]> {
  const { startApi, startWorker, agentKey } = deployment;
  const api = await startApi();
  const client = createClient({ apiUrl: api.url, key: agentKey });
  let worker = await startWorker();
  const follow = (jobId: string, seen: (report: ReconcileReport) => boolean) =>
    until(
      async () => {
        const report = await client.reconcile.get(jobId);
        return seen(report) ? report : undefined;
      },
      { within: WITHIN, every: 50, what: 'the reconciliation to come so far' },
    );
  const isOver = ({ state }: ReconcileReport) => state === 'done' || state === 'failed';
  const begin = async (repair: boolean) => (await client.reconcile.start({ repair })).jobId;

  const told = await timed(async () => follow(await begin(false), isOver));
  const peaks = [await peakResident(worker.pid)];

  const jobId = await begin(true);
  const half = await follow(jobId, ({ scanned }) => (scanned.objects ?? 0) >= OBJECTS / 2);
  peaks.push(await peakResident(worker.pid));
  await worker.kill();
  worker = await startWorker();
  const mended = await timed(() => follow(jobId, isOver));
  await until(async () => (await openBatches()) === 0, { within: WITHIN, what: 'the batches to end' });
  const again = await follow(await begin(true), isOver);
  peaks.push(await peakResident(worker.pid));

  const all = FAULTS * FINDING_CLASSES.length;
  return [
    equal('objects looked at', told.answer.scanned.objects ?? 0, expectedObjects()),
    equal('faults found', hits(told.answer, made), all),
    equal('found though nothing was wrong', sum(told.answer) - hits(told.answer, made), 0),
    equal('killed -9 while under way, at objects', half.state, 'running'),
    equal('faults found by the run that was killed', hits(mended.answer, made), all),
    equal('found by it though nothing was wrong', sum(mended.answer) - hits(mended.answer, made), 0),
    equal('classes mended as they should be', mendedClasses(mended.answer), FINDING_CLASSES.length),
    equal('found once all is mended', sum(again), 0),
    atMost('peak memory of a worker', Math.max(...peaks), 300, 'MB'),
    { what: 'told in', figure: `${told.seconds.toFixed(1)} s`, goal: '(none)', met: true },
    { what: 'from the kill to the end', figure: `${mended.seconds.toFixed(1)} s`, goal: '(none)', met: true },
  ];
}

/** Of the faults, orphans, mismatches and the assets of drifted sessions have objects of assets. */
const expectedObjects = () => OBJECTS + 4 * FAULTS;

const sum = ({ classes }: ReconcileReport) => Object.values(classes).reduce((total, { found }) => total + found, 0);

function hits({ classes }: ReconcileReport, made: Made): number {
  let total = 0;
  for (const [name, subjects] of made) {
    total += new Set(classes[name]?.examples.map(({ subject }) => subject).filter((one) => subjects.has(one))).size;
  }
  return total;
}

function mendedClasses({ classes }: ReconcileReport): number {
  return FINDING_CLASSES.filter((name) => {
    const { repaired = {}, failed } = classes[name] ?? {};
    const counts = Object.entries(repaired).toSorted();
    const wanted = MENDS[name].map((repair) => [repair, FAULTS]).toSorted();
    return failed === 0 && JSON.stringify(counts) === JSON.stringify(wanted);
  }).length;
}
