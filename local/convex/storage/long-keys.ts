import { createHash } from 'node:crypto';
import type { Key, KeyRange } from './index-key.ts';

/**
 * LMDB takes keys of 1,978 bytes at its page size of 4 KiB, Convex any. A longer key is stored cut: its
 * head and a digest of what follows, which itself is the value. Only entries of indexes are that long,
 * and they have no value of their own. No key is the beginning of another, so cut keys with one head
 * stand together, between the same neighbours as whole; among themselves they are in the order of
 * their digests, and have to be sorted once they are whole again.
 */
const HEAD_BYTES = 1_900;

/** What a key is stored under. */
export function storedKey(key: Key): Key {
  const rest = cutOff(key);
  return rest === undefined ? key : headOf(key) + createHash('sha256').update(rest, 'latin1').digest('base64');
}

/** The value to store with a key that was cut, undefined for one that is whole. */
export function cutOff(key: Key): string | undefined {
  return key.length > HEAD_BYTES ? key.slice(HEAD_BYTES) : undefined;
}

/** True for a bound that falls between keys with one head, and for a stored key that was cut. */
export function isLong(key: Key): boolean {
  return key.length > HEAD_BYTES;
}

/** The range of stored keys that holds all of `range`, with whatever shares a head with its ends. */
export function storedRange({ lower, upper }: KeyRange): KeyRange {
  return { lower: headOf(lower), upper: isLong(upper) ? `${headOf(upper)}\xff` : upper };
}

/** The first `limit` whole keys of the range, from entries of its `storedRange` in their stored order. */
export function wholeKeys(
  entries: Iterable<{ readonly stored: Key; readonly value: string }>,
  { lower, upper }: KeyRange,
  descending: boolean,
  limit: number,
): Key[] {
  const found: Key[] = [];
  let head: Key | undefined;
  let sharing: Key[] = [];
  const take = () => {
    sharing.sort();
    if (descending) sharing.reverse();
    for (const key of sharing) found.push(key);
    sharing = [];
  };
  for (const { stored, value } of entries) {
    if (headOf(stored) !== head) {
      take();
      if (found.length >= limit) break;
      head = headOf(stored);
    }
    const key = isLong(stored) ? head + value : stored;
    if (key >= lower && key < upper) sharing.push(key);
  }
  take();
  return found.length > limit ? found.slice(0, limit) : found;
}

function headOf(key: Key): Key {
  return key.length > HEAD_BYTES ? key.slice(0, HEAD_BYTES) : key;
}
