import type { EntityRef } from '#domain';
import type { ErrorFacts } from '#errors';
import type { RedisConnection } from '#redis/connection.ts';
import { type Keep, keepOnMaster } from '#redis/replicas.ts';
import { defineScript } from '#redis/script.ts';
import type { BatchView } from './producer.ts';

/**
 * The record of one request: a hash of what was asked, plus one field per finished file. Counts are
 * derived from the fields, never incremented, so that writing twice changes nothing.
 */
export interface Batches {
  /**
   * Intake, before the jobs. `accepting` makes its packs wait for `accept`. A batch that is there already keeps its
   * facts, and stays accepted if it was; one that was given up begins a new round.
   */
  open(batch: OpenBatch, state: 'accepting' | 'accepted'): Promise<OpenedBatch>;
  /** Intake, after the jobs: its packs may run. False when they were given up meanwhile. */
  accept(batchId: string): Promise<boolean>;
  /** Gives a round of a batch up that was not accepted. False when it was, so that its packs run. */
  abandon(batchId: string, round: number): Promise<boolean>;
  /**
   * Whether packs of that round wait; those of an earlier one were abandoned with it. A batch that Redis has forgotten
   * was accepted: its record comes before its jobs.
   */
  acceptance(batchId: string, round: number): Promise<'accepting' | 'accepted' | 'abandoned'>;
  /**
   * Writes the ends of files; `ready` is never taken back. Tells whether none is missing now; nobody waits for others of a
   * batch that Redis has forgotten, of which nothing is written.
   */
  finish(batchId: string, ends: readonly FileEnd[]): Promise<{ last: boolean }>;
  /** True for a batch that was accepted, as far as Redis remembers: 30 days from its last file's end. */
  wasAccepted(batchId: string): Promise<boolean>;
  view(batchId: string): Promise<BatchView | undefined>;
  /** How one of its files ended, which takes not the whole of it; undefined before, and for a batch that Redis has forgotten. */
  endOf(batchId: string, assetId: string): Promise<'ready' | ErrorFacts | undefined>;
  /** How far it has come, for who looks after batches that came no further. */
  standing(batchId: string): Promise<BatchStanding | undefined>;
}

export interface BatchStanding {
  readonly state: 'accepting' | 'accepted' | 'abandoned';
  readonly round: number;
  readonly packs: number;
  readonly total: number;
  /** Files that are ready, stored or failed. */
  readonly ended: ReadonlySet<string>;
}

/** How a file ended: `stored` when the end of its batch commits it. */
export type FileEnd = readonly [assetId: string, end: 'ready' | 'stored' | FailedFile];

/** Why a file failed, in which of its own tries. */
export type FailedFile = ErrorFacts & {
  readonly attempt?: number | undefined;
  readonly maxAttempts?: number | undefined;
};

interface OpenBatch {
  readonly batchId: string;
  readonly entity: EntityRef;
  readonly owner: string;
  readonly total: number;
  /** Bytes announced. */
  readonly size: number;
  readonly createdAt: number;
  /** `acceptedSeq` of its first file. */
  readonly firstSeq: number;
  /** Jobs it is planned as. */
  readonly packs: number;
}

/** A batch as its record has it now. */
interface OpenedBatch {
  /** True when it was there before. */
  readonly known: boolean;
  readonly firstSeq: number;
  /** Times it was given up and begun anew. */
  readonly round: number;
  /** The most jobs it was ever planned as, in this round. */
  readonly packs: number;
}

/** A record outlives its last write by this long. */
const TTL_SECONDS = 30 * 86_400;
const FILE = 'file:';

/** Fields of a record that are not files: state, project, owner, total, size, createdAt, firstSeq, packs, round. */
const FACTS = 9;

/** KEYS batch; ARGV state, packs, ttl, then fields and values. */
const openScript = defineScript(`
  local state, round, packs = unpack(redis.call('HMGET', KEYS[1], 'state', 'round', 'packs'))
  round = tonumber(round or '0')
  packs = math.max(tonumber(packs or '0'), tonumber(ARGV[2]))
  for i = 4, #ARGV, 2 do redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) end
  if state == 'abandoned' then
    round = round + 1
    packs = tonumber(ARGV[2])
  end
  redis.call('HSET', KEYS[1], 'round', round, 'packs', packs)
  if state ~= 'accepted' then redis.call('HSET', KEYS[1], 'state', ARGV[1]) end
  redis.call('EXPIRE', KEYS[1], ARGV[3])
  return { state and 1 or 0, redis.call('HGET', KEYS[1], 'firstSeq'), round, packs }
`);

/** KEYS batch. Of accepting and abandoning, whichever comes first decides for good. */
const acceptScript = defineScript(`
  if redis.call('HGET', KEYS[1], 'state') == 'abandoned' then return 0 end
  redis.call('HSET', KEYS[1], 'state', 'accepted')
  return 1
`);
/** KEYS batch; ARGV round. */
const abandonScript = defineScript(`
  local state, round = unpack(redis.call('HMGET', KEYS[1], 'state', 'round'))
  if tonumber(round or '0') > tonumber(ARGV[1]) then return 1 end
  if state == 'accepting' then redis.call('HSET', KEYS[1], 'state', 'abandoned') end
  return (state == 'accepting' or state == 'abandoned') and 1 or 0
`);

/** KEYS batch; ARGV ttl, then fields and values. Answers 1 when every file has its end, as far as is known: also for a batch long forgotten. */
const finishScript = defineScript(`
  if redis.call('EXISTS', KEYS[1]) == 0 then return 1 end
  for i = 2, #ARGV, 2 do
    if redis.call('HGET', KEYS[1], ARGV[i]) ~= 'ready' then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
  end
  redis.call('EXPIRE', KEYS[1], ARGV[1])
  if redis.call('HLEN', KEYS[1]) - ${FACTS} >= tonumber(redis.call('HGET', KEYS[1], 'total')) then return 1 end
  return 0
`);

/** With `keep`, ends of files are told once they outlive a failover. */
export function createBatches(redis: RedisConnection, prefix: string, keep: Keep = keepOnMaster): Batches {
  const key = (batchId: string) => `${prefix}:batch:{${batchId}}`;
  return {
    async open({ batchId, entity, packs, ...facts }, state) {
      const fields = Object.entries({ project: entity.project, ...facts }).flat();
      const opened = await openScript(redis, [key(batchId)], [state, packs, TTL_SECONDS, ...fields]);
      const [known = 0, firstSeq = 0, round = 0, most = 0] = (opened as unknown[]).map(Number);
      return { known: known === 1, firstSeq, round, packs: most };
    },
    accept: async (batchId) => (await acceptScript(redis, [key(batchId)], [])) === 1,
    abandon: async (batchId, round) => (await abandonScript(redis, [key(batchId)], [round])) === 1,
    async acceptance(batchId, round) {
      const [state, now] = await redis.hmget(key(batchId), 'state', 'round');
      if (Number(now) > round) return 'abandoned';
      return state === 'accepting' || state === 'abandoned' ? state : 'accepted';
    },
    async finish(batchId, ends) {
      const fields = ends.flatMap(([assetId, end]) => [
        FILE + assetId,
        typeof end === 'string' ? end : JSON.stringify(end),
      ]);
      const own = key(batchId);
      return { last: (await keep([own], () => finishScript(redis, [own], [TTL_SECONDS, ...fields]))) === 1 };
    },
    wasAccepted: async (batchId) => (await redis.hget(key(batchId), 'state')) === 'accepted',
    async view(batchId) {
      const hash = await redis.hgetall(key(batchId));
      return hash.state === undefined ? undefined : toView(batchId, hash);
    },
    async endOf(batchId, assetId) {
      const end = await redis.hget(key(batchId), FILE + assetId);
      if (end === null || end === 'stored') return undefined;
      return end === 'ready' ? end : toFailed(end).error;
    },
    async standing(batchId) {
      const { state, round, packs, total, ...rest } = await redis.hgetall(key(batchId));
      if (state === undefined) return undefined;
      const files = Object.keys(rest).filter((field) => field.startsWith(FILE));
      return {
        state: state as BatchStanding['state'],
        ...{ round: Number(round), packs: Number(packs), total: Number(total) },
        ended: new Set(files.map((field) => field.slice(FILE.length))),
      };
    },
  };
}

function toFailed(end: string) {
  const { attempt, maxAttempts, ...error } = JSON.parse(end) as FailedFile;
  return { error, attempt, maxAttempts };
}

function toView(batchId: string, hash: Record<string, string>): BatchView {
  const ends = Object.entries(hash).filter(([field]) => field.startsWith(FILE));
  const successful = ends.filter(([, end]) => end === 'ready').map(([field]) => field.slice(FILE.length));
  const failed = ends
    .filter(([, end]) => end !== 'ready' && end !== 'stored')
    .map(([field, end]) => ({ assetId: field.slice(FILE.length), ...toFailed(end) }));
  const total = Number(hash.total);
  return {
    batchId,
    project: hash.project ?? '',
    owner: hash.owner ?? '',
    state: successful.length + failed.length >= total ? 'done' : ends.length > 0 ? 'running' : 'accepted',
    total,
    successful,
    failed,
    size: Number(hash.size),
    createdAt: Number(hash.createdAt),
  };
}
