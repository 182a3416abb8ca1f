import type { JSONValue } from 'convex/values';
import type { Identity } from '#local/convex/auth/auth.ts';
import type { MutableRange } from '#local/convex/database/transaction.ts';
import type { Key } from '#local/convex/storage/index-key.ts';
import { firstAtLeast, INDEX_PREFIX, type Overlay } from '#local/convex/storage/overlay.ts';
import type { Outcome } from './call.ts';

/** What a live query asks. `journal` is what an earlier run left for the next. */
export interface LiveQuery {
  readonly path: string;
  readonly args: JSONValue;
  readonly identity: Identity;
  readonly journal: string | null;
}

export interface LiveResult {
  readonly outcome: Outcome;
  readonly journal: string | null;
}

/** Runs a query once, on one snapshot, and pushes what it read to `reads`. */
export type RunLive = (query: LiveQuery, reads: MutableRange[]) => Promise<LiveResult>;

export interface Subscription {
  /** The result, run again first when something it read has changed. */
  result(): Promise<LiveResult>;
  close(): void;
}

/**
 * Queries that somebody watches. The same query by the same identity runs once for all its watchers,
 * and again only when a commit wrote into a range of index keys that its last run read.
 */
export class LiveQueries {
  readonly #run: RunLive;
  readonly #queries = new Map<string, Watched>();
  readonly #running = new Set<Watched>();
  readonly #ranges = new Map<Key, Set<WatchedRange>>();

  constructor(run: RunLive) {
    this.#run = run;
  }

  /** `onStale` is called, synchronously with the commit, each time the result may have changed. */
  subscribe(query: LiveQuery, onStale: () => void): Subscription {
    const key = JSON.stringify([query.path, query.args, query.identity, query.journal]);
    const shared = this.#queries.get(key) ?? new Watched(query);
    this.#queries.set(key, shared);
    const watcher = () => onStale();
    shared.watchers.add(watcher);
    return {
      result: () => {
        shared.current ??= this.#refresh(shared);
        return shared.current;
      },
      close: () => {
        shared.watchers.delete(watcher);
        if (shared.watchers.size > 0 || this.#queries.get(key) !== shared) return;
        this.#queries.delete(key);
        this.#forgetRanges(shared);
      },
    };
  }

  /** Tells what a group of commits wrote. */
  committed(writes: Overlay): void {
    for (const running of this.#running) running.missed.push(writes);
    if (this.#ranges.size === 0) return;
    const stale = new Set<Watched>();
    for (const [prefix, keys] of keysByIndex(writes)) {
      for (const range of this.#ranges.get(prefix) ?? []) {
        if (!stale.has(range.watched) && touches(keys, range)) stale.add(range.watched);
      }
    }
    for (const watched of stale) this.#markStale(watched);
  }

  async #refresh(watched: Watched): Promise<LiveResult> {
    const reads: MutableRange[] = [];
    // From here on commits are kept aside and held against what this run will have read.
    this.#forgetRanges(watched);
    watched.missed = [];
    this.#running.add(watched);
    const result = await this.#run({ ...watched.query, journal: watched.journal }, reads);
    this.#running.delete(watched);
    if (watched.watchers.size > 0) this.#rememberRanges(watched, reads);
    if (watched.missed.some((writes) => touchesAny(writes, reads))) this.#markStale(watched);
    watched.missed = [];
    watched.journal = result.journal;
    return result;
  }

  #markStale(watched: Watched): void {
    watched.current = undefined;
    for (const watcher of watched.watchers) watcher();
  }

  #rememberRanges(watched: Watched, reads: readonly MutableRange[]): void {
    for (const { lower, upper } of reads) {
      const range = { watched, lower, upper };
      const prefix = lower.slice(0, INDEX_PREFIX);
      const ranges = this.#ranges.get(prefix) ?? new Set();
      this.#ranges.set(prefix, ranges.add(range));
      watched.ranges.push(range);
    }
  }

  #forgetRanges(watched: Watched): void {
    for (const range of watched.ranges) {
      const prefix = range.lower.slice(0, INDEX_PREFIX);
      const ranges = this.#ranges.get(prefix);
      ranges?.delete(range);
      if (ranges?.size === 0) this.#ranges.delete(prefix);
    }
    watched.ranges = [];
  }
}

class Watched {
  readonly query: LiveQuery;
  readonly watchers = new Set<() => void>();
  /** The run that answers for now; undefined when stale. */
  current: Promise<LiveResult> | undefined;
  /** What the last run left for the next. */
  journal: string | null;
  ranges: WatchedRange[] = [];
  /** Commits since the run now under way took its snapshot. */
  missed: Overlay[] = [];

  constructor(query: LiveQuery) {
    this.query = query;
    this.journal = query.journal;
  }
}

interface WatchedRange extends Readonly<MutableRange> {
  readonly watched: Watched;
}

function keysByIndex(writes: Overlay): Map<Key, Key[]> {
  const byIndex = new Map<Key, Key[]>();
  for (const keys of [writes.touched, writes.allKeys()]) {
    for (const key of keys) {
      const prefix = key.slice(0, INDEX_PREFIX);
      const list = byIndex.get(prefix);
      if (list) list.push(key);
      else byIndex.set(prefix, [key]);
    }
  }
  for (const keys of byIndex.values()) keys.sort();
  return byIndex;
}

function touchesAny(writes: Overlay, ranges: readonly MutableRange[]): boolean {
  const byIndex = keysByIndex(writes);
  return ranges.some((range) => touches(byIndex.get(range.lower.slice(0, INDEX_PREFIX)) ?? [], range));
}

function touches(keys: readonly Key[], { lower, upper }: Readonly<MutableRange>): boolean {
  const first = keys[firstAtLeast(keys, lower)];
  return first !== undefined && first < upper;
}

/** True when a watcher who has one needs not be told of the other. */
export function sameResult(one: LiveResult, other: LiveResult): boolean {
  if (one.journal !== other.journal || one.outcome.logLines.join('\n') !== other.outcome.logLines.join('\n'))
    return false;
  const [before, after] = [one.outcome, other.outcome];
  if (before.ok) return after.ok && before.value === after.value;
  return !after.ok && before.message === after.message && before.data === after.data;
}
