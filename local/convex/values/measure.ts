import type { JSONValue } from 'convex/values';
import { DEEPEST_VALUE, LONGEST_ARRAY, MOST_FIELDS } from './limits.ts';

/** How large a value is, and how many objects and arrays lie in each other. */
export interface Measure {
  readonly size: number;
  readonly nesting: number;
}

/**
 * Measures a value in Convex's JSON form the way Convex counts: a number has 9 bytes, a string its UTF-8 and 2,
 * a field its name and 1. Throws, in Convex's words, for what no value may be: too deep, too long, too many fields.
 */
export function measure(value: JSONValue, depth = 0): Measure {
  switch (typeof value) {
    case 'number':
      return { size: 9, nesting: 0 };
    case 'string':
      return { size: 2 + Buffer.byteLength(value), nesting: 0 };
    case 'boolean':
      return { size: 1, nesting: 0 };
  }
  if (value === null) return { size: 1, nesting: 0 };
  if (Array.isArray(value)) return measureArray(value, depth);
  if ('$integer' in value || '$float' in value) return { size: 9, nesting: 0 };
  if ('$bytes' in value) return { size: 2 + Buffer.byteLength(String(value.$bytes), 'base64'), nesting: 0 };
  return measureObject(value, depth);
}

/** `1.5 MiB`, as Convex prints sizes. */
export function showSize(bytes: number): string {
  let size = bytes;
  let unit = 'B';
  for (const larger of ['KiB', 'MiB']) {
    if (size < 1024) break;
    size /= 1024;
    unit = larger;
  }
  return `${Math.round(size * 100) / 100} ${unit}`;
}

function measureArray(items: readonly JSONValue[], depth: number): Measure {
  if (items.length > LONGEST_ARRAY) {
    throw new Error(`Array length is too long (${items.length} > maximum length ${LONGEST_ARRAY})`);
  }
  descend(depth);
  let size = 2;
  let nesting = 0;
  for (const item of items) {
    const inner = measure(item, depth + 1);
    size += inner.size;
    nesting = Math.max(nesting, inner.nesting);
  }
  return { size, nesting: nesting + 1 };
}

function measureObject(fields: { [field: string]: JSONValue | undefined }, depth: number): Measure {
  const names = Object.keys(fields);
  if (names.length > MOST_FIELDS) {
    throw new Error(`Object has too many fields (${names.length} > maximum number ${MOST_FIELDS})`);
  }
  descend(depth);
  let size = 2;
  let nesting = 0;
  for (const name of names) {
    const inner = measure(fields[name] ?? null, depth + 1);
    size += Buffer.byteLength(name) + 1 + inner.size;
    nesting = Math.max(nesting, inner.nesting);
  }
  return { size, nesting: nesting + 1 };
}

function descend(depth: number): void {
  if (depth < DEEPEST_VALUE) return;
  throw new Error(`Value is too nested (nested ${depth + 1} levels deep > maximum nesting ${DEEPEST_VALUE})`);
}
