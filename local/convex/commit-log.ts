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

/** Called with what a group wrote once it is on disk, before anybody else learns of it. */
export type OnCommitted = (writes: Overlay) => void;

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
 * Gathers finished mutations and writes them in groups: one write to disk for all that finished in
 * one turn of the event loop. A group that cannot be written is the end: `onBroken` is told, and
 * nothing is accepted any more.
 */
export class CommitLog {
  /** Finished mutations that are not on disk yet: the next mutation must see them. */
  pending = new Overlay();
  /** Timestamp of the newest commit on disk. */
  latest: bigint;
  readonly #storage: Storage;
  readonly #tables: Tables;
  readonly #clock: Clock;
  readonly #onCommitted: OnCommitted;
  readonly #onBroken: (error: Error) => void;
  #group: { commit: Commit; timestamp: bigint; settle: (error?: Error) => void }[] = [];
  #broken: Error | undefined;

  constructor(
    storage: Storage,
    tables: Tables,
    clock: Clock,
    on: { committed: OnCommitted; broken: (error: Error) => void },
  ) {
    this.#storage = storage;
    this.#tables = tables;
    this.#clock = clock;
    this.latest = clock.latest;
    this.#onCommitted = on.committed;
    this.#onBroken = on.broken;
  }

  /** Takes a mutation in, visible to the next one at once. Resolves with its timestamp when it is on disk. */
  async add(commit: Commit): Promise<bigint> {
    if (this.#broken) throw this.#broken;
    const timestamp = this.#clock.next();
    this.pending.merge(commit.writes);
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: Error) => (error ? reject(error) : resolve());
      if (this.#group.push({ commit, timestamp, settle }) === 1) setImmediate(() => this.flush());
    });
    return timestamp;
  }

  /** Writes what is gathered. */
  flush(): void {
    const group = this.#group;
    if (group.length === 0) return;
    this.#group = [];
    try {
      this.#storage.write([...this.#entries(group)]);
    } catch (error) {
      this.#broken = new Error(`Commits cannot be written to disk: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
      for (const { settle } of group) settle(this.#broken);
      this.#onBroken(this.#broken);
      return;
    }
    const written = this.pending;
    this.pending = new Overlay();
    this.latest = group.at(-1)?.timestamp ?? this.latest;
    this.#onCommitted(written);
    for (const { settle } of group) settle();
  }

  *#entries(group: readonly { commit: Commit; timestamp: bigint }[]) {
    yield* this.pending.entries();
    for (const { commit, timestamp } of group) {
      const { request, value } = commit;
      if (request) yield* answerEntries(this.#storage, request, { timestamp, value });
    }
    yield [LAST_TIMESTAMP, this.#clock.latest.toString()] as const;
    const unsaved = this.#tables.takeUnsaved();
    if (unsaved) yield unsaved;
  }
}
