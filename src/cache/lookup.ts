import type { LRUCache } from 'lru-cache';
import { AppError, toAppError } from '#errors';
import type { UrlEntry } from './entry.ts';
import type { Patience } from './patience.ts';
import type { Remembered, SharedLayer } from './shared-layer.ts';

export interface Found {
  readonly entry: UrlEntry;
  readonly servedFrom: 'memory' | 'redis' | 'convex';
}

/** What was found, or why it cannot be told: `GONE` by a tombstone, `METADATA_UNAVAILABLE`. */
export type Sought = Found | AppError;

/** Memory, Redis, then Convex, with one search at a time for each id. */
export interface Lookup {
  /** Ids of which there is neither a row nor news of one are left out. */
  findMany(assetIds: readonly string[]): Promise<Map<string, Sought>>;
  /** Keeps a newer URL where the asset is remembered already. */
  refresh(entry: UrlEntry): Promise<void>;
  /** Drops them from memory; a search under way does not put them back, nor do later readers join it. */
  forget(assetIds: readonly string[]): void;
  /** `forget` for everything. */
  clear(): void;
}

interface LookupPorts {
  readonly memory: LRUCache<string, UrlEntry>;
  readonly shared: SharedLayer;
  readonly patience: Patience;
  readonly load: (assetIds: readonly string[]) => Promise<readonly UrlEntry[]>;
  readonly recall: (assetIds: readonly string[]) => Promise<ReadonlyMap<string, UrlEntry | 'deleted'>>;
  readonly onError: (error: unknown, doing: string) => void;
}

/** One search for some ids; several readers may wait for it. */
interface Flight {
  readonly forgotten: Set<string>;
  readonly result: Promise<Map<string, Sought>>;
}

/** A lookup by asset id: memory, then Redis, then `load`; `recall` answers while the metadata is away. */
export function createLookup({ memory, shared, patience, load, recall, onError }: LookupPorts): Lookup {
  const flights = new Map<string, Flight>();

  function depart(assetIds: readonly string[]): Flight {
    const forgotten = new Set<string>();
    const result = search(assetIds, forgotten).finally(() => {
      for (const assetId of assetIds) if (flights.get(assetId) === flight) flights.delete(assetId);
    });
    const flight = { forgotten, result };
    for (const assetId of assetIds) flights.set(assetId, flight);
    return flight;
  }

  async function search(assetIds: readonly string[], forgotten: Set<string>): Promise<Map<string, Sought>> {
    const remembered = await patience('reading URLs', () => shared.read(assetIds));
    const found = new Map<string, Found>();
    for (const [assetId, { value }] of remembered ?? []) {
      if (value && value !== 'deleted') found.set(assetId, { entry: value, servedFrom: 'redis' });
    }
    const missing = assetIds.filter((assetId) => !found.has(assetId));
    let instead: Iterable<readonly [string, Sought]> = [];
    if (missing.length > 0) {
      try {
        const rows = (await load(missing)).map((row) => buried(row, remembered?.get(row.assetId)));
        if (remembered) await fill(rows, remembered, forgotten);
        for (const entry of rows) found.set(entry.assetId, { entry, servedFrom: 'convex' });
        instead = await withoutRow(missing.filter((assetId) => !found.has(assetId)));
      } catch (error) {
        instead = await fallBack(missing, toAppError(error));
      }
    }
    for (const [assetId, { entry }] of found) {
      if (entry.status === 'ready' && !forgotten.has(assetId)) memory.set(assetId, entry);
    }
    return new Map<string, Sought>([...found, ...instead]);
  }

  /** Assets just accepted, whose rows are on their way, and deleted ones, whose rows are gone. */
  async function withoutRow(assetIds: readonly string[]): Promise<[string, Sought][]> {
    if (assetIds.length === 0) return [];
    return [...(await recall(assetIds))].flatMap(([assetId, entry]): [string, Sought][] => {
      if (entry === 'deleted') return [[assetId, deletedAsset(assetId)]];
      // What is ready has a row, or has none any more.
      return entry.status === 'ready' ? [] : [[assetId, { entry, servedFrom: 'redis' }]];
    });
  }

  /** What is last known of assets that could not be loaded, which is not remembered as found; of the others why not. */
  async function fallBack(assetIds: readonly string[], failure: AppError): Promise<[string, Sought][]> {
    onError(failure, 'asking Convex');
    const known = failure.unavailable ? await recall(assetIds) : undefined;
    return assetIds.map((assetId) => {
      const entry = known?.get(assetId);
      if (entry === 'deleted') return [assetId, deletedAsset(assetId)];
      return [assetId, entry ? { entry, servedFrom: 'redis' } : failure];
    });
  }

  /** Only what is `ready` is final and thus remembered; what lost against an invalidation is not. */
  async function fill(
    rows: readonly UrlEntry[],
    remembered: ReadonlyMap<string, Remembered>,
    forgotten: Set<string>,
  ): Promise<void> {
    const ready = rows.filter(({ status }) => status === 'ready');
    await patience('remembering URLs', () =>
      Promise.all(
        ready.map(async (entry) => {
          const kept = await shared.fill(entry, remembered.get(entry.assetId)?.epoch ?? '');
          if (!kept) forgotten.add(entry.assetId);
        }),
      ),
    );
  }

  function forget(assetIds: Iterable<string>): void {
    for (const assetId of assetIds) {
      memory.delete(assetId);
      flights.get(assetId)?.forgotten.add(assetId);
      flights.delete(assetId);
    }
  }

  return {
    async findMany(assetIds) {
      const found = new Map<string, Sought>();
      const waited = new Map<string, Flight>();
      const missing: string[] = [];
      for (const assetId of new Set(assetIds)) {
        const entry = memory.get(assetId);
        const flight = flights.get(assetId);
        if (entry) found.set(assetId, { entry, servedFrom: 'memory' });
        else if (flight) waited.set(assetId, flight);
        else missing.push(assetId);
      }
      if (missing.length > 0) {
        const flight = depart(missing);
        for (const assetId of missing) waited.set(assetId, flight);
      }
      const landed = [...waited].map(
        async ([assetId, flight]) => [assetId, (await flight.result).get(assetId)] as const,
      );
      for (const [assetId, result] of await Promise.all(landed)) if (result) found.set(assetId, result);
      return found;
    },
    async refresh(entry) {
      if (memory.has(entry.assetId)) memory.set(entry.assetId, entry);
      await patience('refreshing a URL', () => shared.refresh(entry));
    },
    forget,
    clear() {
      forget([...flights.keys()]);
      memory.clear();
    },
  };
}

/** A row that Convex still shows, though the tombstone knows it was deleted. */
function buried(row: UrlEntry, remembered: Remembered | undefined): UrlEntry {
  return remembered?.value === 'deleted' ? { ...row, status: 'deleted' } : row;
}

export function deletedAsset(assetId: string): AppError {
  return new AppError('GONE', `Asset ${assetId} was deleted.`);
}
