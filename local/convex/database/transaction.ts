import { justAfter, type Key, type KeyRange } from '#local/convex/storage/index-key.ts';
import { Overlay } from '#local/convex/storage/overlay.ts';
import type { Reader } from '#local/convex/storage/storage.ts';
import { Usage } from './usage.ts';

/**
 * What one function call sees and changes: its own writes over those of the transactions around it,
 * over commits not yet on disk, over the disk. Dropping it undoes it.
 */
export class Transaction implements Reader {
  readonly writes = new Overlay();
  /** Ranges read so far, for live queries; undefined where nobody asks. Ranges grow while a stream is read. */
  readonly reads: MutableRange[] | undefined;
  /** What it used of its limits, together with those nested in it. */
  readonly usage: Usage;
  readonly #below: readonly Overlay[];
  readonly #layers: readonly Overlay[];
  readonly #disk: Reader;

  constructor(disk: Reader, below: readonly Overlay[], reads?: MutableRange[], usage = new Usage()) {
    this.#disk = disk;
    this.#below = below;
    this.#layers = [this.writes, ...below];
    this.reads = reads;
    this.usage = usage;
  }

  /** A transaction on top of this one; `absorb` keeps its writes, forgetting it rolls them back. */
  nested(): Transaction {
    return new Transaction(this.#disk, this.#layers, this.reads, this.usage);
  }

  absorb(nested: Transaction): void {
    this.writes.merge(nested.writes);
  }

  /** True when neither this transaction nor anything pending below it changed a key. */
  get #bare(): boolean {
    return this.writes.size === 0 && this.#below.every((layer) => layer.size === 0);
  }

  get(key: Key): string | undefined {
    for (const layer of this.#layers) {
      const value = layer.get(key);
      if (value !== undefined) return value ?? undefined;
    }
    return this.#disk.get(key);
  }

  /** The same, for those who want to know when the entry changes. */
  watch(key: Key): string | undefined {
    this.reads?.push({ lower: key, upper: justAfter(key) });
    return this.get(key);
  }

  keys(range: KeyRange, descending: boolean, limit: number): Key[] {
    if (this.#bare) return this.#disk.keys(range, descending, limit);
    let rest = range;
    for (;;) {
      const stored = this.#disk.keys(rest, descending, limit);
      // Past the last key of a full read there may be more on disk, so overlays count only up to it.
      const last = stored.length === limit ? stored.at(-1) : undefined;
      const covered = last === undefined ? rest : descending ? { ...rest, lower: last } : upTo(rest, last);
      const merged = this.#overlaid(stored, covered);
      if (merged.length > 0 || last === undefined) {
        if (descending) merged.reverse();
        return merged.length > limit ? merged.slice(0, limit) : merged;
      }
      rest = descending ? { ...rest, upper: last } : { ...rest, lower: justAfter(last) };
    }
  }

  /** Keys there are in the range once all overlays are applied, ascending. */
  #overlaid(stored: readonly Key[], range: KeyRange): Key[] {
    const known = new Map<Key, boolean>();
    for (const layer of this.#layers) {
      for (const key of layer.keys(range)) if (!known.has(key)) known.set(key, layer.get(key) !== null);
    }
    const merged = stored.filter((key) => !known.has(key));
    for (const [key, present] of known) if (present) merged.push(key);
    return merged.sort();
  }
}

export interface MutableRange {
  lower: Key;
  upper: Key;
}

function upTo(range: KeyRange, last: Key): KeyRange {
  return { lower: range.lower, upper: justAfter(last) };
}
