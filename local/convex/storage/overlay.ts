import type { Key, KeyRange } from './index-key.ts';

/** Length of the index prefix every key begins with. */
export const INDEX_PREFIX = 2;

/** Writes held in memory, ordered within each index: a value, or null for a removed key. */
export class Overlay {
  /** Index keys whose entry stays though their document changed: live queries want to know. */
  readonly touched = new Set<Key>();
  readonly #values = new Map<Key, string | null>();
  readonly #ordered = new Map<Key, Key[]>();
  /** Rises with each write. */
  revision = 0;

  get size(): number {
    return this.#values.size;
  }

  /** The value, null when removed here, undefined when this overlay does not know the key. */
  get(key: Key): string | null | undefined {
    return this.#values.get(key);
  }

  set(key: Key, value: string | null): void {
    if (!this.#values.has(key)) this.#insert(key);
    this.#values.set(key, value);
    this.revision++;
  }

  /** Takes over all writes of `other`, which win over those here. */
  merge(other: Overlay): void {
    for (const [key, value] of other.#values) this.set(key, value);
    for (const key of other.touched) this.touched.add(key);
  }

  entries(): IterableIterator<[Key, string | null]> {
    return this.#values.entries();
  }

  allKeys(): IterableIterator<Key> {
    return this.#values.keys();
  }

  /** Known keys of the range, ascending. The range lies within one index. */
  keys({ lower, upper }: KeyRange): Key[] {
    const keys = this.#ordered.get(lower.slice(0, INDEX_PREFIX));
    return keys ? keys.slice(firstAtLeast(keys, lower), firstAtLeast(keys, upper)) : [];
  }

  #insert(key: Key): void {
    const prefix = key.slice(0, INDEX_PREFIX);
    const keys = this.#ordered.get(prefix);
    if (!keys) this.#ordered.set(prefix, [key]);
    else if (key > (keys.at(-1) ?? '')) keys.push(key);
    else keys.splice(firstAtLeast(keys, key), 0, key);
  }
}

/** Position of the first key that is not below `key`. */
export function firstAtLeast(keys: readonly Key[], key: Key): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? '') < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
