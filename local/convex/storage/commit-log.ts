import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Key } from './index-key.ts';
import { Overlay } from './overlay.ts';
import { answerEntries, type RequestId } from './requests.ts';
import type { Storage } from './storage.ts';
import { META, type Tables } from './tables.ts';
import type { Clock } from './timestamp.ts';

/** A mutation that ran to its end. */
export interface Commit {
  readonly writes: Overlay;
  readonly value: string;
  readonly request?: RequestId | undefined;
}

interface Listeners {
  /** Called before a group is written, with the timestamp of its first commit. */
  readonly writing: (writes: Overlay, timestamp: bigint) => void;
  /** Called with what a group wrote once it is on disk, before anybody else learns of it. */
  readonly committed: (writes: Overlay) => void;
  readonly broken: (error: Error) => void;
}

/** Part of the last write's time that the next may wait for company, and the most of it in milliseconds. */
const GATHERING = 0.5;
const LONGEST_GATHERING = 5;

const LAST_TIMESTAMP = `${META}timestamp`;

/** The highest timestamp the folder ever gave out. */
export function lastTimestamp(storage: Storage): bigint {
  return BigInt(storage.get(LAST_TIMESTAMP) ?? 0);
}

/** Keeps the clock's timestamp, so that the next start goes on after it. */
export function keepTimestamp(storage: Storage, clock: Clock): void {
  storage.write([[LAST_TIMESTAMP, clock.latest.toString()]]);
}

/**
 * Gathers finished mutations and writes them in groups: one write to disk for all that finished since
 * the last. A group that cannot be written is the end: `onBroken` is told, and nothing is accepted any more.
 */
export class CommitLog {
  /** Timestamp of the newest commit on disk. */
  latest: bigint;
  readonly #storage: Storage;
  readonly #tables: Tables;
  readonly #clock: Clock;
  readonly #on: Listeners;
  #pending = new Overlay();
  #writing: Overlay | undefined;
  #group: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  /** The group on its way to the disk: the timestamp it will have brought, and when `latest` says so. */
  beingWritten: { readonly timestamp: bigint; readonly done: Promise<void> } | undefined;
  #broken: Error | undefined;
  /** Mutations in the last group, and how long its write took. */
  #last = { size: 0, milliseconds: 0 };

  constructor(storage: Storage, tables: Tables, clock: Clock, on: Listeners) {
    this.#storage = storage;
    this.#tables = tables;
    this.#clock = clock;
    this.#on = on;
    this.latest = clock.latest;
  }

  /** Finished mutations that are not on disk yet, newest first: the next mutation must see them. */
  unwritten(): Overlay[] {
    return this.#writing ? [this.#pending, this.#writing] : [this.#pending];
  }

  /** Takes a mutation in, visible to the next one at once. Resolves with its timestamp when it is on disk. */
  async add(commit: Commit): Promise<bigint> {
    if (this.#broken) throw this.#broken;
    const timestamp = this.#clock.next();
    this.#pending.merge(commit.writes);
    const onDisk = new Promise<void>((resolve, reject) => this.#group.push({ commit, timestamp, resolve, reject }));
    void this.flush();
    await onDisk;
    return timestamp;
  }

  /** Resolves when everything added so far is on disk. */
  flush(): Promise<void> {
    this.#flushing ??= this.#writeGroups().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #writeGroups(): Promise<void> {
    // What finishes in this turn of the event loop goes into the first group.
    await setImmediate();
    while (this.#group.length > 0 && !this.#broken) {
      await this.#gather();
      const group = this.#group;
      const writing = this.#pending;
      this.#group = [];
      this.#pending = new Overlay();
      this.#writing = writing;
      const done = Promise.withResolvers<void>();
      const last = group.at(-1)?.timestamp ?? this.latest;
      this.#on.writing(writing, group[0]?.timestamp ?? last);
      this.beingWritten = { timestamp: last, done: done.promise };
      const start = performance.now();
      try {
        await this.#storage.commit([...this.#entries(writing, group)]);
      } catch (error) {
        return this.#break(error, group);
      }
      this.#last = { size: group.length, milliseconds: performance.now() - start };
      this.#writing = undefined;
      this.beingWritten = undefined;
      this.latest = last;
      done.resolve();
      this.#on.committed(writing);
      for (const { resolve } of group) resolve();
    }
  }

  /**
   * Those just answered are likely to ask again at once. On a slow disk it pays to take them along:
   * else each of them waits for two writes, that of the others and its own.
   */
  async #gather(): Promise<void> {
    const until = performance.now() + Math.min(this.#last.milliseconds * GATHERING, LONGEST_GATHERING);
    while (this.#group.length < this.#last.size && until - performance.now() > 1) await setTimeout(1);
  }

  #break(error: unknown, group: readonly Waiting[]): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#broken = new Error(`Commits cannot be written to disk: ${why}`, { cause: error });
    for (const { reject } of [...group, ...this.#group]) reject(this.#broken);
    this.#on.broken(this.#broken);
  }

  *#entries(writes: Overlay, group: readonly Waiting[]): Generator<readonly [Key, string | null]> {
    yield* writes.entries();
    for (const { commit, timestamp } of group) {
      const { request, value } = commit;
      if (request) yield* answerEntries(this.#storage, request, { timestamp, value });
    }
    yield [LAST_TIMESTAMP, String(group.at(-1)?.timestamp ?? this.latest)];
    const unsaved = this.#tables.takeUnsaved();
    if (unsaved) yield unsaved;
  }
}

interface Waiting {
  readonly commit: Commit;
  readonly timestamp: bigint;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}
