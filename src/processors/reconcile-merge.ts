/** A page of a list that is sorted by key, in the order of its bytes; `next` when more follow. */
export interface SortedPage<Item> {
  readonly items: readonly Item[];
  readonly next?: string | undefined;
}

/** What two lists have under one key. */
interface Pair<Left, Right> {
  readonly key: string;
  readonly left?: Left | undefined;
  readonly right?: Right | undefined;
}

/**
 * Pairs what two sorted pages, read after the same place, have under each key, as far as both reach. `next` is the place to
 * read both from again; undefined when both lists are at their end.
 */
export function pairUp<Left, Right>(
  lefts: SortedPage<Left>,
  rights: SortedPage<Right>,
  keyOf: { left: (item: Left) => string; right: (item: Right) => string },
): { pairs: Pair<Left, Right>[]; next: string | undefined } {
  const horizon = nearest(lefts.next, rights.next);
  const pairs: Pair<Left, Right>[] = [];
  let l = 0;
  let r = 0;
  while (l < lefts.items.length || r < rights.items.length) {
    const left = lefts.items[l];
    const right = rights.items[r];
    const order =
      left === undefined ? 1 : right === undefined ? -1 : compareBytes(keyOf.left(left), keyOf.right(right));
    const key = order <= 0 ? keyOf.left(left as Left) : keyOf.right(right as Right);
    if (horizon !== undefined && compareBytes(key, horizon) > 0) break;
    pairs.push({ key, left: order <= 0 ? left : undefined, right: order >= 0 ? right : undefined });
    if (order <= 0) l += 1;
    if (order >= 0) r += 1;
  }
  return { pairs, next: horizon };
}

function nearest(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareBytes(a, b) < 0 ? a : b;
}

/** The order of keys in a store: by their bytes in UTF-8, not by UTF-16 as JavaScript compares. */
function compareBytes(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}
