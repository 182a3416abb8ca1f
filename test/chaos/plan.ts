import type { CargoSize } from './cargo.ts';
import { cut, type Fault, killApi, killRedis, loseAnswers, partition, reset, stallConvex } from './faults.ts';
import { KILLS } from './killer.ts';
import { DEPENDENCIES } from './lines.ts';
import { seededRandom } from './seeded.ts';
import type { Tally } from './tally.ts';

/** How much of everything a run has. */
export interface Plan {
  readonly seed: number;
  readonly cargo: CargoSize;
  readonly workers: number;
  /** Milliseconds from one kill of a worker to the next; none when it is undefined. */
  readonly killEvery: number | undefined;
  /** Kills of workers after which there are no more; without end unless given. */
  readonly mostKills?: number;
  /** Kills that must be seen in mid-upload and in mid-commit. */
  readonly leastKills: { readonly upload: number; readonly commit: number };
  readonly redisKills: number;
  readonly apiKills: number;
  /** Milliseconds that store and Convex are each cut for; 0 is never. */
  readonly cutFor: number;
  readonly partitions: number;
  /** Of a worker's wire to Convex. */
  readonly stalls: number;
  /** Of each dependency. */
  readonly resets: number;
  /** Answers of each dependency that are to get lost. */
  readonly answersLost: number;
}

/** A fault, and how much of the cargo is done when it happens, 0 to 1. */
export interface Step {
  readonly at: number;
  readonly fault: Fault;
}

/** A worker is silent for longer than its locks live and until others look for them, in milliseconds. */
const PARTITION = 17_000;
/** Milliseconds; shorter than a call to Convex is waited for, so that it is answered in the end. */
const STALL = 3_000;
const [FIRST, LAST] = [0.03, 0.75];

/** Expects what the plan has of a run, and puts its faults in the order that the seed gives. */
export function planFaults(plan: Plan, tally: Tally): Step[] {
  const faults: Fault[] = [];
  const add = (times: number, fault: Fault) => faults.push(...Array.from({ length: times }, () => fault));
  if (plan.killEvery !== undefined) {
    const { upload, commit } = plan.leastKills;
    tally.expect(KILLS.upload, 'a body was on its way to the store', upload);
    tally.expect(KILLS.part, 'the same, and it was a part', 0);
    tally.expect(KILLS.commit, 'a commit had no answer yet', commit);
  }
  if (plan.redisKills > 0) tally.expect('Redis killed', 'jobs were active', plan.redisKills);
  add(plan.redisKills, killRedis);
  if (plan.apiKills > 0) tally.expect('API killed', 'requests of its caller were open', plan.apiKills);
  add(plan.apiKills, killApi);
  for (const name of plan.cutFor > 0 ? (['store', 'convex'] as const) : []) {
    tally.expect(`${name} cut`, 'requests broken off', 1);
    tally.expect(`jobs waiting for ${name}`, 'uploads not done at the end of the cut', 1);
    add(1, cut(name, plan.cutFor));
  }
  if (plan.partitions > 0) tally.expect('worker partitioned', 'it was uploading', plan.partitions);
  add(plan.partitions, partition(PARTITION));
  if (plan.stalls > 0) tally.expect('convex stalled', 'a commit or its answer arrived late', plan.stalls);
  add(plan.stalls, stallConvex(STALL));
  for (const name of DEPENDENCIES) {
    if (plan.resets > 0) tally.expect(`${name} reset`, 'requests that change something, broken off', plan.resets);
    add(plan.resets, reset(name));
    if (plan.answersLost > 0) tally.expect(`${name} answers lost`, 'after it had acted', plan.answersLost);
    if (plan.answersLost > 0) add(1, loseAnswers(name, plan.answersLost));
  }
  return inSeededOrder(faults, seededRandom(plan.seed), isEarly).map((fault, at) => ({
    at: FIRST + ((LAST - FIRST) * at) / faults.length,
    fault,
  }));
}

/** While its caller still sends. */
const isEarly = (fault: Fault) => fault === killApi;

function inSeededOrder<T>(items: readonly T[], random: () => number, isEarly: (item: T) => boolean): T[] {
  return items
    .map((item) => ({ item, place: random() * (isEarly(item) ? 0.5 : 1) }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
