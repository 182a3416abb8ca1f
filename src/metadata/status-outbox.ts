import type { RedisConnection } from '#redis/connection.ts';
import { createFlushLoop, type FlushLoop } from './flush-loop.ts';
import { sendAllButCulprits } from './halving.ts';
import type { Metadata, StatusUpdate } from './metadata.ts';

interface StatusOutboxOptions {
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly metadata: Pick<Metadata, 'applyStatuses'>;
  /** Told why a flush of the loop failed, and of each update dropped because Convex refuses it and takes others. */
  readonly onError?: (error: unknown) => void;
}

/**
 * Status writes on their way to Convex: one per asset, the newest by its fence. Kept in Redis, so that they
 * outlive the process and wait while Convex is away; any number of processes put and flush at once.
 */
export interface StatusOutbox extends FlushLoop {
  /** Resolved means Redis has the news; older ones than what waits already are dropped. */
  put(updates: readonly StatusUpdate[]): Promise<void>;
  /** What waits for the asset, undefined when nothing does. */
  get(assetId: string): Promise<StatusUpdate | undefined>;
  /** Drops what waits for assets whose end Convex knows already. */
  forget(assetIds: readonly string[]): Promise<void>;
  /** Updates that wait. */
  size(): Promise<number>;
  /** Sends what waits until nothing does. Throws `METADATA_UNAVAILABLE` or `METADATA_REJECTED`; what is unsent stays. */
  flush(): Promise<void>;
}

/** Updates of one mutation, and of one script. */
const SLICE = 500;
/** Milliseconds between flushes, in which progress of one asset coalesces. */
const INTERVAL = 100;

/** Values are `generation.attemptsStarted.sequence` and, after a space, the update as JSON: a fence is compared without parsing. */
const PUT = `
  local function newer(mine, theirs)
    local a, b, c = string.match(mine, '^(%d+)%.(%d+)%.(%d+) ')
    local x, y, z = string.match(theirs, '^(%d+)%.(%d+)%.(%d+) ')
    if a ~= x then return tonumber(a) > tonumber(x) end
    if b ~= y then return tonumber(b) > tonumber(y) end
    return tonumber(c) > tonumber(z)
  end
  for i = 1, #ARGV, 2 do
    local waiting = redis.call('HGET', KEYS[1], ARGV[i])
    if not waiting or newer(ARGV[i + 1], waiting) then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
  end`;

/** Deletes what is still the write that was sent, known by its fence; newer news stays. */
const DELETE_SENT = `
  for i = 1, #ARGV, 2 do
    local waiting = redis.call('HGET', KEYS[1], ARGV[i])
    if waiting and string.sub(waiting, 1, #ARGV[i + 1]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
  end`;

/** The outbox under `prefix`; it sends nothing by itself before `start`. The connection stays the caller's. */
export function createStatusOutbox({ redis, prefix, metadata, onError }: StatusOutboxOptions): StatusOutbox {
  const key = `${prefix}:status-outbox`;

  /** Sends at most a slice; false when nothing waited. */
  async function flushSlice(): Promise<boolean> {
    // At random, so that several processes mostly take different ones.
    const fields = await redis.hrandfield(key, SLICE, 'WITHVALUES');
    const updates = (fields as string[]).filter((_, at) => at % 2 === 1).map(updateIn);
    if (updates.length === 0) return false;
    await sendAllButCulprits(
      updates,
      (some) => metadata.applyStatuses(some),
      (_update, refusal) => onError?.(refusal),
    );
    const sent = updates.flatMap(({ facts, fence }) => [facts.assetId, fenceText(fence)]);
    await redis.eval(DELETE_SENT, 1, key, ...sent);
    return true;
  }

  async function flush(): Promise<void> {
    while (await flushSlice());
  }

  return {
    async put(updates) {
      for (let at = 0; at < updates.length; at += SLICE) {
        const values = updates.slice(at, at + SLICE).flatMap((update) => [update.facts.assetId, entryOf(update)]);
        await redis.eval(PUT, 1, key, ...values);
      }
    },
    async get(assetId) {
      const value = await redis.hget(key, assetId);
      return value === null ? undefined : updateIn(value);
    },
    async forget(assetIds) {
      if (assetIds.length > 0) await redis.hdel(key, ...assetIds);
    },
    size: () => redis.hlen(key),
    flush,
    ...createFlushLoop({ flush, intervalMs: INTERVAL, onError }),
  };
}

function fenceText(fence: StatusUpdate['fence']): string {
  return `${fence.join('.')} `;
}

function entryOf(update: StatusUpdate): string {
  return fenceText(update.fence) + JSON.stringify(update);
}

function updateIn(value: string): StatusUpdate {
  return JSON.parse(value.slice(value.indexOf(' ') + 1)) as StatusUpdate;
}
