import { refusal } from './access.ts';

/** A page of what an index holds by key: what follows `after`, or all from the first on. */
export interface KeyPage {
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Options of `paginate` for it. A page may be shorter than `limit` when its documents are large, but never empty before the end. */
export function firstPage({ limit }: KeyPage, most: number): { numItems: number; cursor: null } {
  if (!Number.isInteger(limit) || limit < 1 || limit > most) {
    throw refusal('VALIDATION_FAILED', `A page has 1 to ${most}, not ${limit}.`);
  }
  return { numItems: limit, cursor: null };
}

/** What `next` of a page says: the key to go on after, null at the end. */
export function nextAfter({
  page,
  isDone,
}: {
  page: readonly { readonly s3Key: string }[];
  isDone: boolean;
}): string | null {
  return (isDone ? undefined : page.at(-1)?.s3Key) ?? null;
}

const FIRST_SURROGATE = 0xd800;
const PAST_SURROGATES = 0xe000;
const LAST = 0x10ffff;

/**
 * The least text above all that begin with `prefix`; undefined when nothing is. Convex orders texts by their UTF-8, which
 * is the order of code points.
 */
export function pastPrefix(prefix: string): string | undefined {
  const points = Array.from(prefix, (sign) => sign.codePointAt(0) ?? 0);
  while (points.at(-1) === LAST) points.pop();
  const last = points.pop();
  if (last === undefined) return undefined;
  const next = last + 1 === FIRST_SURROGATE ? PAST_SURROGATES : last + 1;
  return String.fromCodePoint(...points, next);
}
