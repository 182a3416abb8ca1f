import type { AssetFacts } from '#domain';
import type { AuditEntry } from './metadata.ts';

/** Callers name the fields of their metadata as they like, which Convex does not allow: it travels as text. */
export function withMetadataText<T extends { readonly facts: AssetFacts }>(
  one: T,
): Omit<T, 'facts'> & { facts: Omit<AssetFacts, 'metadata'> & { metadata: string } } {
  return { ...one, facts: { ...one.facts, metadata: JSON.stringify(one.facts.metadata) } };
}

/** The same for the details of an entry of the audit. */
export function withDetailsText(entry: AuditEntry): Wire<Omit<AuditEntry, 'details'>> & { details: string } {
  const { details, ...rest } = entry;
  return { ...wire(rest), details: JSON.stringify(details) };
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
