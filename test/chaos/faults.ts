import { setTimeout as pause } from 'node:timers/promises';
import type { TestRedis } from '#test/redis.ts';
import type { Crew, Member } from './crew.ts';
import { DEPENDENCIES, type Dependency, isCommit, isUploading, MUTATES } from './lines.ts';
import type { Queues } from './queues.ts';
import type { Tally } from './tally.ts';

/** What faults are made with. */
export interface Stage {
  readonly crew: Crew;
  readonly redis: TestRedis;
  readonly queues: Queues;
  readonly tally: Tally;
  /** Requests that the caller has open at the API. */
  readonly calls: () => number;
}

/** One fault; resolves when it is over. */
export type Fault = (stage: Stage) => Promise<void>;

/** A Redis that is killed stays away this long before it is started again, in milliseconds. */
const REDIS_AWAY = 1_000;
/** A fault waits this long for a moment in which it hits, in milliseconds. */
const FIND_WITHIN = 30_000;
const LOOK_EVERY = 5;
const UPLOADS = /:(small|large)$/;

const everyone = ({ api, workers }: Crew): Member[] => [api, ...workers];

/** Waits for a moment in which `condition` holds; false when there was none in `within` milliseconds. */
async function moment(condition: () => boolean | Promise<boolean>, within: number): Promise<boolean> {
  for (const end = performance.now() + within; performance.now() < end; await pause(LOOK_EVERY)) {
    if (await condition()) return true;
  }
  return false;
}

/** kill -9 of Redis, with jobs active; started again on what it had on disk. */
export const killRedis: Fault = async ({ redis, queues, tally }) => {
  const busy = await moment(async () => ((await queues.look()) ?? []).some(({ active }) => active > 0), FIND_WITHIN);
  await redis.kill();
  tally.happened('Redis killed', busy ? 1 : 0);
  await pause(REDIS_AWAY);
  await redis.start();
};

/** kill -9 of the API, with requests of its callers open. */
export const killApi: Fault = async ({ crew, tally, calls }) => {
  const busy = await moment(() => calls() > 0, FIND_WITHIN);
  const replaced = crew.api.replace();
  tally.happened('API killed', busy ? 1 : 0);
  await replaced;
};

/** Cuts everybody off from one dependency for `ms`, with a job's requests to it under way. */
export const cut =
  (dependency: Dependency, ms: number): Fault =>
  async ({ crew, queues, tally }) => {
    const lines = everyone(crew).map((member) => member.lines[dependency]);
    const isBusy = ({ lines }: Member) =>
      lines[dependency].inFlight().some((request) => isUploading(request) || isCommit(request));
    await moment(() => crew.workers.some(isBusy), FIND_WITHIN);
    const broken = lines.flatMap((line) => line.inFlight()).length;
    await Promise.all(lines.map((line) => line.cut()));
    await pause(ms);
    const uploads = ((await queues.look()) ?? []).filter(({ queue }) => UPLOADS.test(queue));
    const waiting = uploads.reduce((all, { open }) => all + open.length, 0);
    await Promise.all(lines.map((line) => line.mend()));
    tally.happened(`${dependency} cut`, broken);
    tally.happened(`jobs waiting for ${dependency}`, waiting);
  };

/** Resets every connection to one dependency, with requests that change something under way. */
export const reset =
  (dependency: Dependency): Fault =>
  async ({ crew, tally }) => {
    const lines = everyone(crew).map((member) => member.lines[dependency]);
    const mutating = () => lines.flatMap((line) => line.inFlight().filter(({ head }) => MUTATES[dependency](head)));
    await moment(() => mutating().length > 0, FIND_WITHIN);
    tally.happened(`${dependency} reset`, mutating().length);
    for (const line of lines) line.reset();
  };

/** Loses answers of one dependency to requests that changed something, `answers` of them. */
export const loseAnswers =
  (dependency: Dependency, answers: number): Fault =>
  async ({ crew, tally }) => {
    const lines = everyone(crew).map((member) => member.lines[dependency]);
    const lost = () => lines.reduce((all, line) => all + line.tally.lostAnswers.length, 0);
    const before = lost();
    for (const line of lines) line.dropAnswers(MUTATES[dependency]);
    await moment(() => lost() - before >= answers, FIND_WITHIN);
    await Promise.all(lines.map((line) => line.mend()));
    tally.happened(`${dependency} answers lost`, lost() - before);
  };

/** The first free worker that is seen to be busy, or any that is free when none was for long. */
async function catchBusy({ workers }: Crew, isBusy: (worker: Member) => boolean): Promise<Member | undefined> {
  const busy = () => workers.find((worker) => worker.isFree() && isBusy(worker));
  await moment(() => busy() !== undefined, FIND_WITHIN);
  return busy() ?? workers.find((worker) => worker.isFree());
}

/** Silence on all wires of one worker, longer than its locks live: others take its jobs, and then it is back. */
export const partition =
  (ms: number): Fault =>
  async ({ crew, tally }) => {
    const isUploadingNow = ({ lines }: Member) => lines.store.inFlight().some(isUploading);
    const worker = await catchBusy(crew, isUploadingNow);
    tally.happened('worker partitioned', worker && isUploadingNow(worker) ? 1 : 0);
    await worker?.hold(async () => {
      for (const name of DEPENDENCIES) worker.lines[name].stall();
      await pause(ms);
      for (const name of DEPENDENCIES) await worker.lines[name].mend();
    });
  };

/** Silence on one worker's wire to Convex in mid-commit: what was said meanwhile arrives late, as old news. */
export const stallConvex =
  (ms: number): Fault =>
  async ({ crew, tally }) => {
    const worker = await catchBusy(crew, ({ lines }) => lines.convex.inFlight().some(isCommit));
    if (!worker) return tally.happened('convex stalled', 0);
    await worker.hold(async () => {
      const line = worker.lines.convex;
      const passed = () => line.tally.toServer + line.tally.toClient;
      line.stall();
      await pause(ms);
      const before = passed();
      await line.mend();
      const late = await moment(() => passed() > before, 1_000);
      tally.happened('convex stalled', late ? 1 : 0);
    });
  };
