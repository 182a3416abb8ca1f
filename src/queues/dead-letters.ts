import { Job } from 'bullmq';
import type { ErrorCode } from '#errors';
import type { RedisConnection } from '#redis/connection.ts';
import { type ChosenLetters, LANES, type Lane } from './catalog.ts';
import { type DeadLetter, failedKey, type Page, readNamed, readNewest } from './dead-letter-page.ts';
import { fingerprintOf } from './fingerprint.ts';
import { isGone } from './jobs.ts';
import type { Lanes } from './lanes.ts';

/** Where a walk over the dead letters stands. */
export interface Place {
  readonly lane: Lane;
  /** In the lane; from its beginning when left out. */
  readonly at?: number | undefined;
}

interface LetterPage {
  readonly letters: readonly DeadLetter[];
  /** Where the next page begins; undefined after the last. */
  readonly next: Place | undefined;
}

/** Dead letters of the same fault. */
export interface LetterGroup {
  readonly fingerprint: string;
  readonly code: ErrorCode;
  /** Name of the job. */
  readonly job: string;
  readonly lanes: readonly Lane[];
  readonly count: number;
  /** What they keep of Redis' memory. */
  readonly bytes: number;
  /** When the first and the last of them failed, milliseconds since the epoch. */
  readonly firstSeen: number;
  readonly lastSeen: number;
  /** The last of them. */
  readonly example: { readonly jobId: string; readonly message: string };
}

/**
 * The failed sets of all lanes: they are the dead letters, and no copy or index is made of them. A walk takes a page at
 * a time, so that memory stays flat; what fails or is replayed meanwhile does not disturb it.
 */
export interface DeadLetters {
  /** Those chosen, from the newest of each lane to its oldest; from `from` on, the `next` of an earlier page. */
  pages(chosen: ChosenLetters, from?: Place): AsyncGenerator<LetterPage, void>;
  /** At most `limit` of those chosen, in the order of `pages`. */
  list(chosen: ChosenLetters, page: { limit: number; from?: Place | undefined }): Promise<LetterPage>;
  /** Those chosen by what they have in common, the largest group first. */
  groups(chosen: ChosenLetters): Promise<LetterGroup[]>;
  /**
   * Has workers take them again, with all their attempts. Answers how many: one that is no dead letter any more, or
   * failed anew after `failedBy`, is left as it is.
   */
  replay(letters: readonly DeadLetter[], failedBy: number): Promise<number>;
}

/** The dead letters of the lanes under `prefix`. */
export function createDeadLetters(redis: RedisConnection, prefix: string, lanes: Lanes): DeadLetters {
  function read({ jobIds, failedBy }: ChosenLetters, { lane, at }: Place): Promise<Page> {
    return jobIds
      ? readNamed(redis, prefix, lane, { failedBy, jobIds, from: at })
      : readNewest(redis, prefix, lane, { failedBy, from: at });
  }

  async function* pages(chosen: ChosenLetters, from: Place = { lane: LANES[0] }): AsyncGenerator<LetterPage, void> {
    const { fingerprint } = chosen;
    const isMeant = fingerprint === undefined ? () => true : ofGroup(fingerprint);
    let place: Place | undefined = from;
    let reading = read(chosen, place);
    while (place) {
      const { lane }: Place = place;
      const page = await reading;
      place = page.next === undefined ? laneAfter(lane) : { lane, at: page.next };
      if (place) {
        // Redis reads the next page while this one is worked on; whoever stops here has no use for its failure.
        reading = read(chosen, place);
        reading.catch(() => undefined);
      }
      yield { letters: page.letters.filter(isMeant), next: place };
    }
  }

  return {
    pages,
    async list(chosen, { limit, from }) {
      const letters: DeadLetter[] = [];
      let next: Place | undefined;
      for await (const page of pages(chosen, from)) {
        letters.push(...page.letters);
        next = page.next;
        if (letters.length >= limit) break;
      }
      const last = letters[limit - 1];
      if (!last || letters.length === limit) return { letters, next };
      return { letters: letters.slice(0, limit), next: { lane: last.lane, at: last.rank - 1 } };
    },
    async groups(chosen) {
      const groups = new Map<string, LetterGroup>();
      for await (const { letters } of pages(chosen)) {
        for (const letter of letters) groups.set(letter.fault, withLetter(groups.get(letter.fault), letter));
      }
      return [...groups.values()].toSorted((a, b) => b.count - a.count || b.lastSeen - a.lastSeen);
    },
    async replay(letters, failedBy) {
      const byLane = Map.groupBy(letters, ({ lane }) => lane);
      const counts = await Promise.all(
        [...byLane].map(async ([lane, own]) => {
          const failedAt = await redis.zmscore(failedKey(prefix, lane), ...own.map(({ jobId }) => jobId));
          const still = own.filter((_, index) => failedAt[index] !== null && Number(failedAt[index]) <= failedBy);
          const started = await Promise.all(still.map((letter) => retry(lanes, letter)));
          return started.filter(Boolean).length;
        }),
      );
      return counts.reduce((sum, count) => sum + count, 0);
    },
  };
}

/** Groups named in a summary: the largest. */
const NAMED_GROUPS = 50;

/** What groups come to, as the audit keeps it. */
export function summaryOf(groups: readonly LetterGroup[]) {
  return {
    count: groups.reduce((sum, { count }) => sum + count, 0),
    bytes: groups.reduce((sum, { bytes }) => sum + bytes, 0),
    groups: groups
      .slice(0, NAMED_GROUPS)
      .map(({ fingerprint, code, job, count }) => ({ fingerprint, code, job, count })),
  };
}

const laneAfter = (lane: Lane): Place | undefined => {
  const next = LANES[LANES.indexOf(lane) + 1];
  return next && { lane: next };
};

/** True for letters of the group; a fault's fingerprint is made once. */
function ofGroup(fingerprint: string): (letter: DeadLetter) => boolean {
  const known = new Map<string, boolean>();
  return ({ fault }) => {
    const is = known.get(fault) ?? fingerprintOf(fault) === fingerprint;
    known.set(fault, is);
    return is;
  };
}

function withLetter(group: LetterGroup | undefined, letter: DeadLetter): LetterGroup {
  const { jobId, message, lane, failedAt, bytes, code, job, fault } = letter;
  if (!group) {
    return {
      ...{ fingerprint: fingerprintOf(fault), code, job, lanes: [lane], count: 1, bytes },
      ...{ firstSeen: failedAt, lastSeen: failedAt, example: { jobId, message } },
    };
  }
  const isLast = failedAt > group.lastSeen;
  return {
    ...group,
    lanes: group.lanes.includes(lane) ? group.lanes : [...group.lanes, lane],
    count: group.count + 1,
    bytes: group.bytes + bytes,
    firstSeen: Math.min(group.firstSeen, failedAt),
    lastSeen: Math.max(group.lastSeen, failedAt),
    example: isLast ? { jobId, message } : group.example,
  };
}

/** BullMQ's own retry, without reading the job first: it looks at nothing of it but its id. False when it is not failed any more. */
async function retry(lanes: Lanes, { lane, job, jobId }: DeadLetter): Promise<boolean> {
  try {
    await new Job(lanes[lane], job, {}, {}, jobId).retry('failed', { resetAttemptsMade: true });
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}
