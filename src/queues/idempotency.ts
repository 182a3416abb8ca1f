import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import type { RedisConnection } from '#redis/connection.ts';
import { type Keep, keepOnMaster } from '#redis/replicas.ts';
import { defineScript } from '#redis/script.ts';
import { newBatchId } from './ids.ts';

/** A caller's name for one request: the id of its API key, and the `Idempotency-Key` it sent. */
export interface RequestName {
  readonly keyId: string;
  readonly key: string;
}

/**
 * What a request finds under its name. `ours`: do the work, under `batchId`; with `takenOver` another began it and
 * was not heard of again, so that part of it may be done. `accepted`: it was done, and this was the answer.
 * `busy`: another is at it. `mismatch`: the name stands for another body.
 */
export type Claim =
  | { readonly state: 'ours'; readonly batchId: string; readonly token: string; readonly takenOver: boolean }
  | { readonly state: 'accepted'; readonly answer: string }
  | { readonly state: 'busy' }
  | { readonly state: 'mismatch' };

/** Requests by name, remembered for a day: the same one sent twice is one batch. Rejects with what Redis throws. */
export interface Idempotency {
  /** `body` is a hash of the request. The batch's id stays the same however often a request is taken over. */
  claim(name: RequestName, body: string): Promise<Claim>;
  /** Says that its owner is at work still: a claim that nobody renews for 10 s is taken over. */
  renew(name: RequestName, token: string): Promise<void>;
  /** Keeps the answer for those who come later; without effect when another has taken over. */
  accept(name: RequestName, token: string, answer: string): Promise<void>;
  /** Forgets a request that did nothing. False when another has taken over. */
  release(name: RequestName, token: string): Promise<boolean>;
  /** Leaves a request that may have done part of its work to whoever sends it next, at once. */
  leave(name: RequestName, token: string): Promise<void>;
}

const TTL_SECONDS = 86_400;
/** A claim this old without an answer belongs to a process that died. */
const TAKEN_OVER_AFTER_MS = 10_000;

/** KEYS request; ARGV body, batchId, token, ttl, age at which a claim is taken over. */
const claimScript = defineScript(`
  local body, state, batch, at, answer = unpack(redis.call('HMGET', KEYS[1], 'body', 'state', 'batchId', 'at', 'answer'))
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if body and body ~= ARGV[1] then return { 'mismatch' } end
  if state == 'accepted' then return { 'accepted', answer } end
  if body and now - at < tonumber(ARGV[5]) then return { 'busy' } end
  redis.call('HSET', KEYS[1], 'body', ARGV[1], 'state', 'claimed', 'batchId', batch or ARGV[2], 'token', ARGV[3],
    'at', string.format('%.0f', now))
  redis.call('EXPIRE', KEYS[1], ARGV[4])
  return { 'ours', batch or ARGV[2], body and 'over' or 'new' }
`);

/** KEYS request; ARGV token, then `accept` answer ttl, `release`, `leave`, or `renew`. */
const ownScript = defineScript(`
  if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
  if ARGV[2] == 'release' then redis.call('DEL', KEYS[1])
  elseif ARGV[2] == 'leave' then redis.call('HSET', KEYS[1], 'at', 0)
  elseif ARGV[2] == 'renew' then
    local time = redis.call('TIME')
    redis.call('HSET', KEYS[1], 'at', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
  else
    redis.call('HSET', KEYS[1], 'state', 'accepted', 'answer', ARGV[3])
    redis.call('EXPIRE', KEYS[1], ARGV[4])
  end
  return 1
`);

/** With `keep`, a name stands for its batch through a failover. */
export function createIdempotency(redis: RedisConnection, prefix: string, keep: Keep = keepOnMaster): Idempotency {
  const keyOf = ({ keyId, key }: RequestName) => `${prefix}:idem:{${keyId}:${key}}`;
  return {
    async claim(name, body) {
      const token = randomUUID();
      const args = [body, newBatchId(), token, TTL_SECONDS, TAKEN_OVER_AFTER_MS];
      const claimed = await keep([keyOf(name)], () => claimScript(redis, [keyOf(name)], args));
      const [state, first, second] = claimed as string[];
      if (state === 'ours') return { state, batchId: first ?? '', token, takenOver: second === 'over' };
      if (state === 'accepted') return { state, answer: await unpack(first ?? '') };
      return { state: state === 'mismatch' ? 'mismatch' : 'busy' };
    },
    renew: async (name, token) => void (await ownScript(redis, [keyOf(name)], [token, 'renew'])),
    async accept(name, token, answer) {
      await ownScript(redis, [keyOf(name)], [token, 'accept', await pack(answer), TTL_SECONDS]);
    },
    release: async (name, token) => (await ownScript(redis, [keyOf(name)], [token, 'release'])) === 1,
    leave: async (name, token) => void (await ownScript(redis, [keyOf(name)], [token, 'leave'])),
  };
}

/** An answer names thousands of files: deflated it takes a fraction of the memory for its day. */
async function pack(text: string): Promise<string> {
  return (await promisify(deflateRaw)(text)).toString('base64');
}

async function unpack(packed: string): Promise<string> {
  return (await promisify(inflateRaw)(Buffer.from(packed, 'base64'))).toString();
}
