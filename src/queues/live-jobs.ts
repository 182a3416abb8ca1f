import type { Queue } from 'bullmq';
import { z } from 'zod';
import { type ErrorFacts, isErrorCode } from '#errors';
import type { RedisConnection } from '#redis/connection.ts';
import { JOBS, type Lane } from './catalog.ts';
import { pickJobFacts } from './job-facts.ts';
import { ERROR_FIELD } from './job-view.ts';
import { jobKey, type Lanes, lanePrefix } from './lanes.ts';

/** Whether anybody works on something, or may go on with it. */
export interface LiveJobs {
  /** `working` until its end, `dead` as a dead letter, `over` when it is done or nobody knows it any more. */
  upload(jobId: string): Promise<JobLife>;
  maintenance(jobId: string): Promise<JobLife>;
  /** Of these keys of staged bytes those that an upload needs that is not over, dead letters included. */
  needed(keys: ReadonlySet<string>): Promise<ReadonlySet<string>>;
  /** Why a dead letter failed, for one of its files; undefined when it is none any more. */
  verdict(jobId: string, assetId: string): Promise<Verdict | undefined>;
}

export type JobLife = 'working' | 'dead' | 'over';

/** How a dead letter ended one of its files. */
export interface Verdict {
  readonly error: Pick<ErrorFacts, 'code' | 'message'>;
  /** How often it was replayed and started, for a fence. */
  readonly generation: number;
  readonly starts: number;
}

const PAGE = 500;

/** What of an upload's data matters here. */
const packData = z.object({
  startsBefore: z.number().optional(),
  replaysBefore: z.number().optional(),
  files: z.array(z.object({ origin: z.object({ key: z.string().optional() }) })),
});

/** Looks into the lanes under `prefix`. */
export function createLiveJobs(redis: RedisConnection, prefix: string, lanes: Lanes): LiveJobs {
  async function lifeIn(queue: Queue, jobId: string): Promise<JobLife> {
    const state = await queue.getJobState(jobId);
    if (state === 'failed') return 'dead';
    return state === 'completed' || state === 'unknown' ? 'over' : 'working';
  }

  /** Ids of a lane's jobs that are not over, in the order in which jobs move, twice around: one that moves on meanwhile is met later. */
  async function* liveIds(lane: Lane): AsyncGenerator<string[]> {
    const key = (list: string) => `${lanePrefix(prefix, lane)}:${lane}:${list}`;
    const sorted = async function* (list: string) {
      for (let cursor = '0'; ; ) {
        const [next, flat] = await redis.zscan(key(list), cursor, 'COUNT', PAGE);
        yield flat.filter((_, at) => at % 2 === 0);
        if (next === '0') return;
        cursor = next;
      }
    };
    const listed = async function* (list: string) {
      for (let at = 0; ; at += PAGE) {
        const ids = await redis.lrange(key(list), at, at + PAGE - 1);
        yield ids;
        if (ids.length < PAGE) return;
      }
    };
    for (const list of ['failed', 'delayed', 'prioritized']) yield* sorted(list);
    for (const list of ['wait', 'paused', 'active']) yield* listed(list);
    for (const list of ['delayed', 'failed', 'prioritized']) yield* sorted(list);
    for (const list of ['wait', 'active']) yield* listed(list);
  }

  return {
    // In the order in which a job that outgrows its lane moves, so that it is met in one of them.
    async upload(jobId) {
      for (const lane of JOBS.upload.lanes) {
        const life = await lifeIn(lanes[lane], jobId);
        if (life !== 'over') return life;
      }
      return 'over';
    },
    maintenance: (jobId) => lifeIn(lanes.maintenance, jobId),
    async needed(keys) {
      const found = new Set<string>();
      for (const lane of JOBS.upload.lanes) {
        for await (const ids of liveIds(lane)) {
          const data = await Promise.all(ids.map((jobId) => redis.hget(jobKey(prefix, lane, jobId), 'data')));
          for (const text of data) for (const key of stagedIn(text)) if (keys.has(key)) found.add(key);
        }
      }
      return found;
    },
    async verdict(jobId, assetId) {
      for (const lane of JOBS.upload.lanes) {
        const [fields, facts] = await Promise.all([
          redis.hmget(jobKey(prefix, lane, jobId), 'failedReason', 'ats', 'data'),
          pickJobFacts(redis, prefix, lane, jobId, [`end:${assetId}`, ERROR_FIELD, 'generation']),
        ]);
        const [reason, started, data] = fields;
        if (!reason) continue;
        const before = packData.safeParse(JSON.parse(data ?? 'null')).data;
        const error = errorIn(facts[`end:${assetId}`]) ?? errorIn(facts[ERROR_FIELD]) ?? errorOf(reason);
        const generation = (before?.replaysBefore ?? 0) + Number(facts.generation ?? 0);
        return { error, generation, starts: (before?.startsBefore ?? 0) + Number(started ?? 0) };
      }
      return undefined;
    },
  };
}

/** Keys of staged bytes that a job's data name, of any version. */
function stagedIn(data: string | null): string[] {
  const read = packData.safeParse(JSON.parse(data ?? 'null'));
  return read.success ? read.data.files.flatMap(({ origin }) => origin.key ?? []) : [];
}

function errorIn(text: string | undefined): Verdict['error'] | undefined {
  return text?.startsWith('{') ? (JSON.parse(text) as ErrorFacts) : undefined;
}

/** What BullMQ keeps of it: `CODE: message`. */
function errorOf(reason: string): Verdict['error'] {
  const [, code, message] = /^([A-Z_]+): (.*)$/s.exec(reason) ?? [];
  return isErrorCode(code) && message !== undefined ? { code, message } : { code: 'INTERNAL', message: reason };
}
