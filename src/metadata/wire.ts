import type { AssetFacts } from '#domain';

/** Callers name the fields of their metadata as they like, which Convex does not allow: it travels as text. */
export function withMetadataText<T extends { readonly facts: AssetFacts }>(
  one: T,
): Omit<T, 'facts'> & { facts: Omit<AssetFacts, 'metadata'> & { metadata: string } } {
  return { ...one, facts: { ...one.facts, metadata: JSON.stringify(one.facts.metadata) } };
}

/** Convex's argument types know neither `readonly` nor an explicit `undefined`; on the wire both vanish. */
type Wire<T> = T extends readonly (infer Item)[]
  ? Wire<Item>[]
  : T extends object
    ? { -readonly [Key in keyof T]: Wire<Exclude<T[Key], undefined>> }
    : T;

/** The same value, as an argument of a function. */
export function wire<T>(value: T): Wire<T> {
  return value as Wire<T>;
}
