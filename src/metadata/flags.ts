import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Flag, Metadata } from './metadata.ts';

/** What a flag is asked about. */
interface FlagQuestion {
  readonly project: string;
  /** Whom the percentage is counted by: an asset, a session, a person. One subject always has the same answer. */
  readonly subject: string;
  /** The answer while nothing is known of the flag: nobody made it, or Convex was away since this process started. */
  readonly otherwise: boolean;
}

/** Flags by name, kept in Convex and remembered by each process. */
export interface Flags {
  /** Never throws. Waits for Convex only until the first answer of this process; later answers may be one change late. */
  isOn(name: string, question: FlagQuestion): Promise<boolean>;
}

interface FlagsOptions {
  readonly metadata: Pick<Metadata, 'listFlags'>;
  /** Name of this deployment's environment. */
  readonly environment: string;
  readonly clock: () => number;
  /** Told why the flags could not be read. */
  readonly onError: (error: unknown) => void;
}

/** What is remembered is answered this long, and after it once more while Convex is asked again. */
const FRESH_MS = 10_000;
/** Convex is left alone this long when it did not answer. */
const REST_MS = 5_000;

/** Flags of one deployment, read whole: what was read last is the answer for as long as Convex is away. */
export function createFlags({ metadata, environment, clock, onError }: FlagsOptions): Flags {
  const remembered = new LRUCache<'flags', ReadonlyMap<string, Flag>>({
    ...{ max: 1, ttl: FRESH_MS, allowStale: true, perf: { now: clock }, ttlResolution: 0 },
    async fetchMethod(_key, last, { options }) {
      try {
        return new Map((await metadata.listFlags()).map((flag) => [flag.name, flag]));
      } catch (error) {
        onError(error);
        options.ttl = REST_MS;
        return last ?? new Map();
      }
    },
  });
  return {
    async isOn(name, { project, subject, otherwise }) {
      const flag = (await remembered.fetch('flags'))?.get(name);
      return flag ? isOnFor(flag, { environment, project, subject }) : otherwise;
    },
  };
}

/** Whether the flag is on: in its environments, in its projects, for its share of the subjects. */
export function isOnFor(
  { name, percentage, environments, projects }: Flag,
  { environment, project, subject }: { environment: string; project: string; subject: string },
): boolean {
  if (environments && !environments.includes(environment)) return false;
  if (projects && !projects.includes(project)) return false;
  return placeOf(name, subject) < percentage;
}

/**
 * Where a subject stands in the rollout of a flag, from 0 up to 100. It never moves, so a higher percentage only
 * adds subjects; and since each flag has an order of its own, the first of one are not the first of all.
 */
function placeOf(name: string, subject: string): number {
  const digest = createHash('sha256')
    .update(JSON.stringify([name, subject]))
    .digest();
  return (digest.readUInt32BE() / 2 ** 32) * 100;
}
