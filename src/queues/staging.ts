import { randomBytes } from 'node:crypto';
import type { Queue } from 'bullmq';
import { z } from 'zod';
import type { RedisConnection } from '#redis/connection.ts';
import { defineScript } from '#redis/script.ts';
import type { RandomBytes } from './ids.ts';
import { jobOptions } from './lanes.ts';

/**
 * How far bytes have come that their owner puts into staging himself: `open` until he says that they are all there,
 * then `complete`, and `used` once an upload names them; `aborted` by him, or `expired`.
 */
const STAGING_STATES = ['open', 'complete', 'used', 'aborted', 'expired'] as const;
export type StagingState = (typeof STAGING_STATES)[number];

const record = z.object({
  stagingId: z.string(),
  state: z.enum(STAGING_STATES),
  project: z.string(),
  /** Id of the API key that asked for it. */
  owner: z.string(),
  /** Where its owner may put bytes. */
  openKey: z.string(),
  /** Where they are when complete: elsewhere, if requests that put them could be sent again. */
  key: z.string(),
  size: z.coerce.number(),
  /** SHA-256 announced or, once complete, found; the upload that uses the bytes is held to it. */
  checksum: z.string().optional(),
  /** With it the bytes come in parts. */
  uploadId: z.string().optional(),
  createdAt: z.coerce.number(),
  expiresAt: z.coerce.number(),
  /** The batch that uses it. */
  batchId: z.string().optional(),
});
export type StagingRecord = z.infer<typeof record>;

/** Records of bytes on their way into staging. Every change is one decision in Redis. */
export interface StagingRecords {
  /** Writes a new record, and has its expiry looked after. */
  open(fields: Omit<StagingRecord, 'state' | 'batchId'>): Promise<void>;
  get(stagingId: string): Promise<StagingRecord | undefined>;
  /** Moves on to `to`, with what is known by then, from one of the states that lead there; gives the state there is now. */
  move(
    stagingId: string,
    to: 'complete' | 'aborted' | 'expired',
    facts?: Partial<Pick<StagingRecord, 'key' | 'checksum'>>,
  ): Promise<StagingState | undefined>;
  /** Takes complete bytes for a batch, which may be repeated. False when they are not complete, or another's. */
  use(stagingId: string, batchId: string): Promise<boolean>;
  /** Gives back what a batch took that came to nothing. */
  giveBack(stagingId: string, batchId: string): Promise<void>;
}

export const newStagingId = (random: RandomBytes = randomBytes): string => `st_${random(15).toString('base64url')}`;

const DAY_MS = 86_400_000;
/** What became of it can be asked for this long after its expiry, in milliseconds. */
const REMEMBERED_MS = 7 * DAY_MS;

const LEADS_TO: Readonly<Record<'complete' | 'aborted' | 'expired', string>> = {
  complete: 'open complete',
  aborted: 'open complete aborted',
  expired: 'open complete expired',
};

/** KEYS record; ARGV state, states that lead to it, then fields and values. */
const moveScript = defineScript(`
  local state = redis.call('HGET', KEYS[1], 'state')
  if not state then return nil end
  if not string.find(' ' .. ARGV[2] .. ' ', ' ' .. state .. ' ', 1, true) then return state end
  redis.call('HSET', KEYS[1], 'state', ARGV[1])
  for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
  return ARGV[1]
`);

/** KEYS record; ARGV batch. */
const useScript = defineScript(`
  local state, batch = unpack(redis.call('HMGET', KEYS[1], 'state', 'batchId'))
  if state == 'used' and batch == ARGV[1] then return 1 end
  if state ~= 'complete' then return 0 end
  redis.call('HSET', KEYS[1], 'state', 'used', 'batchId', ARGV[1])
  return 1
`);

/** KEYS record; ARGV batch. */
const giveBackScript = defineScript(`
  local state, batch = unpack(redis.call('HMGET', KEYS[1], 'state', 'batchId'))
  if state ~= 'used' or batch ~= ARGV[1] then return end
  redis.call('HSET', KEYS[1], 'state', 'complete')
  redis.call('HDEL', KEYS[1], 'batchId')
`);

/** `maintenance` is the lane of the jobs that end what nobody used. */
export function createStagingRecords(
  redis: RedisConnection,
  prefix: string,
  maintenance: Pick<Queue, 'add'>,
): StagingRecords {
  const keyOf = (stagingId: string) => `${prefix}:staging:{${stagingId}}`;
  return {
    async open(fields) {
      const { stagingId, createdAt, expiresAt } = fields;
      // Before the record: a job without one does nothing, a record without one would stay.
      const options = { ...jobOptions('staging-expiry', `${stagingId}-expiry`), removeOnComplete: true };
      await maintenance.add('staging-expiry', { stagingId }, { ...options, delay: expiresAt - createdAt });
      const key = keyOf(stagingId);
      const given = Object.entries({ ...fields, state: 'open' }).filter(([, value]) => value !== undefined);
      await redis
        .multi()
        .hset(key, Object.fromEntries(given))
        .pexpireat(key, expiresAt + REMEMBERED_MS)
        .exec();
    },
    async get(stagingId) {
      const hash = await redis.hgetall(keyOf(stagingId));
      return hash.state === undefined ? undefined : record.parse(hash);
    },
    async move(stagingId, to, facts = {}) {
      const fields = Object.entries(facts).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
      const state = await moveScript(redis, [keyOf(stagingId)], [to, LEADS_TO[to], ...fields]);
      return STAGING_STATES.find((known) => known === state);
    },
    use: async (stagingId, batchId) => (await useScript(redis, [keyOf(stagingId)], [batchId])) === 1,
    giveBack: async (stagingId, batchId) => void (await giveBackScript(redis, [keyOf(stagingId)], [batchId])),
  };
}
