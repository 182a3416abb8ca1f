import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import type { ErrorFacts } from '#errors';
import type { RedisConnection } from '#redis/connection.ts';
import { type UrlEntry, urlEntry } from './entry.ts';
import { createSharedLayer } from './shared-layer.ts';

/** What this file needs of a row; whatever else it has is kept with it. */
interface KnownRow extends UrlEntry {
  readonly batchId: string;
  readonly progress: number;
  readonly error?: ErrorFacts | undefined;
  readonly nextRetryAt?: number | undefined;
}

/** What was last known of assets, for every process to answer with while Convex is away. */
export interface LastKnown<Row extends KnownRow> {
  /** Keeps rows for about an hour. Not waited for: what is lost here is only an answer less. */
  note(rows: readonly Row[]): void;
  /** `deleted` by the tombstone whatever else is known. Ids nobody knows are left out, and all are with Redis away. */
  recall(assetIds: readonly string[]): Promise<ReadonlyMap<string, Row | 'deleted'>>;
  /** Drops what was noted of assets that are not what they were. Rejects while Redis is away. */
  forget(assetIds: readonly string[]): Promise<void>;
}

interface LastKnownPorts<Row> {
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly clock: () => number;
  /** News of an asset that wait for Convex. */
  readonly waiting: (assetId: string) => Promise<Row | undefined>;
  /** How a file of a batch ended. */
  readonly end: (batchId: string, assetId: string) => Promise<'ready' | ErrorFacts | undefined>;
  readonly onError: (error: unknown, doing: string) => void;
}

const KEPT_MS = 3_600_000;
/**
 * Rows lie in a hash for each ten minutes: thousands are noted with one command, and what expires at once stays small
 * enough to stall nobody.
 */
const BUCKET_MS = 600_000;
/** Rows of one command. */
const SLICE = 500;
/** A row that did not change is not written again for so long. */
const WRITTEN = { max: 10_000, ttl: BUCKET_MS };

const knownRow = urlEntry.extend({ batchId: z.string(), progress: z.number() }).loose();

/** What was last known of rows, in Redis under `prefix`, for while the metadata is away. */
export function createLastKnown<Row extends KnownRow>(ports: LastKnownPorts<Row>): LastKnown<Row> {
  const { redis, prefix, clock, waiting, end: endOf, onError } = ports;
  const written = new LRUCache<string, string>(WRITTEN);
  const shared = createSharedLayer(redis, prefix);

  /** Of all hashes that may be there, the newest first. */
  const buckets = () => Array.from({ length: KEPT_MS / BUCKET_MS + 1 }, (_, age) => bucket(age));

  /** Name of the hash of this moment; of the ones before it with a higher `age`. */
  function bucket(age = 0): string {
    return `${prefix}:last-known:${Math.floor(clock() / BUCKET_MS) - age}`;
  }

  async function write(rows: readonly (readonly [assetId: string, text: string])[]): Promise<void> {
    const key = bucket();
    await Promise.all([redis.hset(key, ...rows.flat()), redis.pexpire(key, KEPT_MS + BUCKET_MS)]);
    for (const [assetId, text] of rows) written.set(assetId, text);
  }

  /** What was noted last of each id. */
  async function notes(assetIds: readonly string[]): Promise<Map<string, Row>> {
    const texts = await Promise.all(buckets().map((key) => redis.hmget(key, ...assetIds)));
    const latest = assetIds.map((assetId, at) => {
      const text = texts.map((ofBucket) => ofBucket[at]).find((one) => one !== null);
      return [assetId, parseRow<Row>(text)] as const;
    });
    return new Map(latest.flatMap(([assetId, row]) => (row ? [[assetId, row]] : [])));
  }

  async function recallAll(assetIds: readonly string[]): Promise<Map<string, Row | 'deleted'>> {
    const [tombstones, noted] = await Promise.all([shared.read(assetIds), notes(assetIds)]);
    const recallOne = async (assetId: string): Promise<Row | 'deleted' | undefined> => {
      const note = noted.get(assetId);
      if (tombstones.get(assetId)?.value === 'deleted' || note?.status === 'deleted') return 'deleted';
      if (note?.status === 'ready') return note;
      const news = await waiting(assetId);
      const row = news ?? note;
      if (!row) return undefined;
      // One that was committed and is not ready was withdrawn since: its batch says how it was before.
      const end = note?.version === undefined ? await endOf(row.batchId, assetId) : undefined;
      if (end === 'ready') return { ...row, status: 'ready', progress: 1, error: undefined, nextRetryAt: undefined };
      // News can tell of a replay, which the end in the batch comes before.
      return end && !news ? { ...row, status: 'error', error: end, nextRetryAt: undefined } : row;
    };
    const recalled = await Promise.all(assetIds.map(async (assetId) => [assetId, await recallOne(assetId)] as const));
    return new Map(recalled.flatMap(([assetId, row]) => (row ? [[assetId, row]] : [])));
  }

  return {
    note(rows) {
      const changed = rows
        .map((row) => [row.assetId, JSON.stringify(row)] as const)
        .filter(([assetId, text]) => written.get(assetId) !== text);
      for (let at = 0; at < changed.length; at += SLICE) {
        write(changed.slice(at, at + SLICE)).catch((error: unknown) =>
          onError(error, 'noting what is known of assets'),
        );
      }
    },
    async forget(assetIds) {
      for (const assetId of assetIds) written.delete(assetId);
      if (assetIds.length > 0) await Promise.all(buckets().map((key) => redis.hdel(key, ...assetIds)));
    },
    recall: (assetIds) =>
      recallAll(assetIds).catch((error: unknown) => {
        onError(error, 'recalling what is known of assets');
        return new Map();
      }),
  };
}

/** A row of another version of the code that lacks what is needed here counts as unknown. */
function parseRow<Row>(text: string | null | undefined): Row | undefined {
  if (!text) return undefined;
  const { data } = knownRow.safeParse(JSON.parse(text));
  return data as Row | undefined;
}
