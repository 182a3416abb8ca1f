import type { Key } from './index-key.ts';
import { Overlay } from './overlay.ts';
import type { Reader } from './storage.ts';

/** For how long after the last timestamp was asked for, and up to how many characters, the past is kept. */
const KEPT_MS = 60_000;
const LONGEST = 64 * 1024 * 1024;

/** What a group of commits replaced. `timestamp` is of its first commit. */
interface Undo {
  readonly timestamp: bigint;
  readonly at: number;
  readonly before: readonly (readonly [Key, string | null])[];
  readonly length: number;
}

/**
 * The past of the database, for queries at a timestamp: what each group of commits replaced, in memory. Nothing is
 * kept while nobody asks for timestamps, so that commits cost no more than they must.
 */
export class History {
  readonly #undos: Undo[] = [];
  #length = 0;
  #wantedAt = -Infinity;
  /** The state at this timestamp and after can be told; undefined when nothing is kept. */
  #since: bigint | undefined;

  get isKept(): boolean {
    return this.#since !== undefined;
  }

  /** From `latest`, the state on the disk now, on the past is kept for a while. */
  keep(latest: bigint, now: number): void {
    this.#wantedAt = now;
    this.#since ??= latest;
  }

  /** Notes what a group is about to replace on `disk`. Called before it is written. */
  record(writes: Overlay, timestamp: bigint, disk: Reader, now: number): void {
    if (this.#since === undefined) return;
    if (now - this.#wantedAt > KEPT_MS) {
      this.#forget();
      return;
    }
    const before = [...writes.allKeys()].map((key) => [key, disk.get(key) ?? null] as const);
    const length = before.reduce((sum, [key, value]) => sum + key.length + (value?.length ?? 0), 0);
    this.#undos.push({ timestamp, at: now, before, length });
    this.#length += length;
    this.#prune(now);
  }

  /** What to lay over the newest state to see that at `timestamp`; undefined when that is not known any more. */
  undoTo(timestamp: bigint): Overlay | undefined {
    if (this.#since === undefined || timestamp < this.#since) return undefined;
    const overlay = new Overlay();
    for (const undo of this.#undos.toReversed()) {
      if (undo.timestamp <= timestamp) break;
      for (const [key, value] of undo.before) overlay.set(key, value);
    }
    return overlay;
  }

  #prune(now: number): void {
    for (let first = this.#undos[0]; first; first = this.#undos[0]) {
      if (now - first.at <= KEPT_MS && this.#length <= LONGEST) return;
      this.#undos.shift();
      this.#length -= first.length;
      this.#since = first.timestamp;
    }
  }

  #forget(): void {
    this.#undos.length = 0;
    this.#length = 0;
    this.#since = undefined;
  }
}
