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
  /** Keeps rows for an hour. Not waited for: what is lost here is only an answer less. */
  note(rows: readonly Row[]): void;
  /** `deleted` by the tombstone whatever else is known. Ids nobody knows are left out, and all are with Redis away. */
  recall(assetIds: readonly string[]): Promise<ReadonlyMap<string, Row | 'deleted'>>;
}

interface LastKnownPorts<Row> {
  readonly redis: RedisConnection;
  readonly prefix: string;
  /** News of an asset that wait for Convex. */
  readonly waiting: (assetId: string) => Promise<Row | undefined>;
  /** How the files of a batch ended. */
  readonly batch: (batchId: string) => Promise<BatchEnds | undefined>;
  readonly onError: (error: unknown, doing: string) => void;
}

interface BatchEnds {
  readonly successful: readonly string[];
  readonly failed: readonly { readonly assetId: string; readonly error: ErrorFacts }[];
}

const KEPT_SECONDS = 3_600;
/** A row that did not change is not written again for half of that. */
const REWRITE_MS = (KEPT_SECONDS * 1_000) / 2;
const WRITTEN = 10_000;

const knownRow = urlEntry.extend({ batchId: z.string(), progress: z.number() }).loose();

export function createLastKnown<Row extends KnownRow>(ports: LastKnownPorts<Row>): LastKnown<Row> {
  const { redis, prefix, waiting, batch, onError } = ports;
  const key = (assetId: string) => `${prefix}:last-known:${assetId}`;
  const written = new LRUCache<string, string>({ max: WRITTEN, ttl: REWRITE_MS });
  const shared = createSharedLayer(redis, prefix);

  async function write(assetId: string, text: string): Promise<void> {
    await redis.set(key(assetId), text, 'EX', KEPT_SECONDS);
    written.set(assetId, text);
  }

  async function recallAll(assetIds: readonly string[]): Promise<Map<string, Row | 'deleted'>> {
    const tombstones = await shared.read(assetIds);
    const batches = new Map<string, ReturnType<typeof batch>>();
    const endIn = async ({ batchId, assetId }: Row) => {
      const asked = batches.get(batchId) ?? batch(batchId);
      batches.set(batchId, asked);
      return endOf(assetId, await asked);
    };
    const recallOne = async (assetId: string): Promise<Row | 'deleted' | undefined> => {
      const noted = parseRow<Row>(await redis.get(key(assetId)));
      if (tombstones.get(assetId)?.value === 'deleted' || noted?.status === 'deleted') return 'deleted';
      if (noted?.status === 'ready') return noted;
      const news = await waiting(assetId);
      const row = news ?? noted;
      if (!row) return undefined;
      const end = await endIn(row);
      if (end === 'ready') return { ...row, status: 'ready', progress: 1, error: undefined, nextRetryAt: undefined };
      // News can tell of a replay, which the end in the batch comes before.
      return end && !news ? { ...row, status: 'error', error: end, nextRetryAt: undefined } : row;
    };
    const recalled = await Promise.all(assetIds.map(async (assetId) => [assetId, await recallOne(assetId)] as const));
    return new Map(recalled.flatMap(([assetId, row]) => (row ? [[assetId, row]] : [])));
  }

  return {
    note(rows) {
      const changed = rows.map((row) => [row.assetId, JSON.stringify(row)] as const);
      const writes = changed.flatMap(([assetId, text]) =>
        written.get(assetId) === text ? [] : [write(assetId, text)],
      );
      Promise.all(writes).catch((error: unknown) => onError(error, 'noting what is known of assets'));
    },
    recall: (assetIds) =>
      recallAll(assetIds).catch((error: unknown) => {
        onError(error, 'recalling what is known of assets');
        return new Map();
      }),
  };
}

function endOf(assetId: string, batch: BatchEnds | undefined): 'ready' | ErrorFacts | undefined {
  if (batch?.successful.includes(assetId)) return 'ready';
  return batch?.failed.find((file) => file.assetId === assetId)?.error;
}

/** A row of another version of the code that lacks what is needed here counts as unknown. */
function parseRow<Row>(text: string | null): Row | undefined {
  if (text === null) return undefined;
  const { data } = knownRow.safeParse(JSON.parse(text));
  return data as Row | undefined;
}
