interface MetadataError {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** About 16 KiB a file, so that a pack's commit stays far below what Convex takes in one mutation. */
const MAX_WEIGHT = 16_384;
const TOO_HEAVY: MetadataError[] = [{ path: [], message: 'Must not be larger than 16 KiB.' }];
const MAX_DEPTH = 8;
/** What Convex takes for the name of a field. */
const FIELD_NAME = /^[A-Za-z][ -~]{0,63}$/;
const DANGEROUS = new Set(['constructor', 'prototype']);

/**
 * What is wrong with a file's own metadata: it must fit a Convex row as it is. Walks without recursion and stops
 * as soon as it is too heavy, so that a large or deep body costs no more than a small one.
 */
export function metadataErrors(metadata: Readonly<Record<string, unknown>>): MetadataError[] {
  const errors: MetadataError[] = [];
  const waiting: { value: unknown; path: readonly PropertyKey[] }[] = [{ value: metadata, path: [] }];
  let weight = 0;
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { value, path } = next;
    weight += 8;
    if (typeof value === 'string') {
      weight += value.length;
      if (!value.isWellFormed()) errors.push({ path, message: 'Must be well-formed Unicode.' });
    } else if (typeof value === 'object' && value !== null) {
      const names = Array.isArray(value) ? undefined : Object.keys(value);
      weight += 8 * (names ?? (value as unknown[])).length;
      if (weight > MAX_WEIGHT) return TOO_HEAVY;
      if (path.length >= MAX_DEPTH)
        return [{ path: [], message: `Must not be nested deeper than ${MAX_DEPTH} levels.` }];
      for (const [key, content] of names ? Object.entries(value) : (value as unknown[]).entries()) {
        if (typeof key === 'string' && (!FIELD_NAME.test(key) || DANGEROUS.has(key))) {
          errors.push({
            path: [...path, key],
            message: 'Names start with a letter and have up to 64 ASCII characters.',
          });
        }
        waiting.push({ value: content, path: [...path, key] });
      }
    }
    if (weight > MAX_WEIGHT) return TOO_HEAVY;
  }
  return errors;
}
