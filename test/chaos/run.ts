import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pLimit from 'p-limit';
import { openDeployment } from '#test/deployment.ts';
import { startRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import { type CargoRequest, loadCargo } from './cargo.ts';
import { startCrew } from './crew.ts';
import type { Stage } from './faults.ts';
import { judge, type Verdict } from './judge.ts';
import { killWorkers } from './killer.ts';
import { type Plan, planFaults, type Step } from './plan.ts';
import { openQueues, type Queues } from './queues.ts';
import { type Caller, type Sent, send } from './sender.ts';
import { createTally, type FaultLine } from './tally.ts';
import { walkConvex } from './walk-convex.ts';
import { judgesBucket } from './walk-store.ts';

/** What came of a run. */
export interface ChaosReport {
  readonly plan: Plan;
  readonly faults: readonly FaultLine[];
  readonly verdicts: readonly Verdict[];
  readonly kills: number;
  /** Requests of the caller that were refused, or had no answer, and were sent again. */
  readonly refused: number;
  readonly unanswered: number;
  /** From the first request until nothing moved any more. */
  readonly seconds: number;
  /** What the processes said that were killed. */
  readonly said: readonly string[];
}

export interface Ground {
  /** Environment of a store with S3's API that is the run's alone to fill. */
  readonly store: Readonly<Record<string, string>>;
  readonly bucket: string;
  /** The tree that API and workers are started from; this one unless given. */
  readonly root?: string | undefined;
  /** Told what happens: faults, and how much is done. */
  readonly tell?: ((what: string) => void) | undefined;
}

const SENDERS = 4;
/** Part of the files that may be sent before the cargo or the faults are that far: each fault shall have some to hit. */
const AHEAD = 0.2;
const LOOK_EVERY = 250;
/** Part of the files. */
const TELL_EACH = 0.05;
/** Waits of jobs after the last fault are seconds; what has not come to an end by then never will. In milliseconds. */
const QUIET_WITHIN = 120_000;
const FINISH_WITHIN = 1_500_000;

/** Uploads the plan's cargo by a real API and real workers while its faults happen, and judges what is there in the end. */
export async function runChaos(
  plan: Plan,
  { store, bucket, root, tell = () => undefined }: Ground,
): Promise<ChaosReport> {
  const judges = judgesBucket(store, bucket);
  await judges.make();
  const redis = await startRedis();
  const compileCache = join(import.meta.dirname, '../../node_modules/.cache/node');
  const env = { ...store, S3_BUCKET: bucket, NODE_COMPILE_CACHE: compileCache };
  const deployment = await openDeployment(redis.url, env, root);
  const queues = openQueues(redis.url);
  const over = new AbortController();
  try {
    const requests = await loadCargo(join(deployment.dir, 'files'), plan.seed, plan.cargo);
    const crew = await startCrew(
      deployment,
      {
        redis: addressOf(redis.url),
        store: addressOf(store.S3_ENDPOINT_URL),
        convex: addressOf(deployment.engine.url),
      },
      plan.workers,
    );
    const sent: Sent = { accepted: [], refused: 0, unanswered: 0, open: 0 };
    const tally = createTally(tell);
    const steps = planFaults(plan, tally);
    const stage: Stage = { crew, redis, queues, tally, calls: () => sent.open };
    const progress = watchProgress(queues, sent, plan.cargo.files, over.signal, tell);
    const course = { next: steps[0] };
    const begun = performance.now();

    const caller = { url: () => crew.api.url(), key: deployment.agentKey };
    const killing = new AbortController();
    const kills =
      plan.killEvery === undefined
        ? 0
        : killWorkers(crew, { every: plan.killEvery, most: plan.mostKills }, { tally, signal: killing.signal });
    await Promise.all([
      sendAll(caller, requests, sent, { files: plan.cargo.files, progress, course, signal: over.signal }),
      makeFaults(steps, stage, { files: plan.cargo.files, progress, course }),
    ]);
    await until(progress.isOver, { within: FINISH_WITHIN, what: 'the cargo to be done', every: LOOK_EVERY }).catch(
      () => undefined,
    );
    killing.abort();
    const counted = await kills;
    await crew.settled();
    await quiet(queues);
    const seconds = (performance.now() - begun) / 1_000;

    const walked = {
      queues: (await queues.look()) ?? [],
      onTheWay: await queues.onTheWay(),
      spent: await queues.spent(),
    };
    await crew.close();
    await deployment.engine.kill();
    const verdicts = judge({
      ...walked,
      accepted: sent.accepted,
      convex: await walkConvex(deployment.engine.data),
      objects: await judges.walk(),
      openUploads: await judges.openUploads(),
    });
    const { refused, unanswered } = sent;
    return { plan, faults: tally.lines(), verdicts, kills: counted, refused, unanswered, seconds, said: crew.said };
  } finally {
    over.abort();
    queues.close();
    judges.close();
    await deployment.remove();
    await redis.stop();
  }
}

/** The fault that did not begin yet; undefined once all have. */
interface Course {
  next: Step | undefined;
}

interface Way {
  readonly files: number;
  readonly progress: Progress;
  readonly course: Course;
}

interface Progress {
  /** Files of jobs that came to an end, well or not. */
  done(): number;
  /** True when every file of the cargo did. */
  isOver(): boolean;
}

function watchProgress(
  queues: Queues,
  { accepted }: Sent,
  files: number,
  signal: AbortSignal,
  tell: (what: string) => void,
): Progress {
  let done = 0;
  let told = 0;
  const look = async () => {
    while (!signal.aborted) {
      const walked = await queues.look();
      if (walked) {
        const ended = new Set(walked.flatMap(({ completed, failed }) => [...completed, ...failed]));
        done = accepted.filter(({ jobId }) => ended.has(jobId)).length;
        if (done - told >= files * TELL_EACH) {
          told = done;
          tell(`${done} of ${files} files are done`);
        }
      }
      await pause(LOOK_EVERY);
    }
  };
  look().catch(() => undefined);
  return { done: () => done, isOver: () => done >= files };
}

async function sendAll(
  caller: Caller,
  requests: readonly CargoRequest[],
  sent: Sent,
  { files, progress, course, signal }: Way & { signal: AbortSignal },
): Promise<void> {
  const reached = () => Math.min(progress.done() / files, course.next?.at ?? 1);
  let place = 0;
  await pLimit(SENDERS).map(requests, async (request) => {
    place += request.files.length;
    const last = place / files;
    while (last > reached() + AHEAD) await pause(LOOK_EVERY, undefined, { signal });
    await send(caller, request, sent, signal);
  });
}

async function makeFaults(steps: readonly Step[], stage: Stage, { files, progress, course }: Way): Promise<void> {
  for (const [index, { at, fault }] of steps.entries()) {
    const isTime = () => progress.isOver() || progress.done() >= at * files;
    await until(isTime, { within: FINISH_WITHIN, what: 'the next fault', every: LOOK_EVERY });
    course.next = steps[index + 1];
    await fault(stage);
  }
}

/** Resolves when no job is open and no status waits, twice in a row; also when that never comes, which the judge sees. */
async function quiet(queues: Queues): Promise<void> {
  let seen = 0;
  const isQuiet = async () => {
    const walked = await queues.look();
    const open = walked === undefined || walked.some(({ open }) => open.length > 0) || (await queues.onTheWay()) > 0;
    seen = open ? 0 : seen + 1;
    return seen === 2;
  };
  await until(isQuiet, { within: QUIET_WITHIN, what: 'quiet', every: LOOK_EVERY }).catch(() => undefined);
}

function addressOf(url = ''): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}
