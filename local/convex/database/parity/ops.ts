import {
  type DataModelFromSchemaDefinition,
  type ExpressionOrValue,
  type GenericDatabaseReader,
  type GenericDatabaseWriter,
  type MutationBuilder,
  mutationGeneric,
  type QueryBuilder,
  queryGeneric,
} from 'convex/server';
import { type GenericId, type Value, v } from 'convex/values';
import type schema from './schema.ts';

type Model = DataModelFromSchemaDefinition<typeof schema>;
type Fields = Record<string, Value>;
type Id = GenericId<'things'>;

/** A write; `at` picks a document by the order of their insertion. */
export type Write =
  | { readonly do: 'insert'; readonly fields: Fields }
  | { readonly do: 'patch'; readonly at: number; readonly fields: Fields; readonly without: string[] }
  | { readonly do: 'replace'; readonly at: number; readonly fields: Fields }
  | { readonly do: 'delete' | 'get' | 'getOfOther'; readonly at: number };

/** A condition of a range or a filter. Without a value: of a field that is missing. */
export interface Condition {
  readonly is: 'eq' | 'neq' | 'gt' | 'gte' | 'lt' | 'lte';
  readonly field: string;
  readonly value?: Value;
}

export interface Read {
  readonly do: 'read';
  /** Undefined scans the table. */
  readonly index?: string;
  readonly range: readonly Condition[];
  readonly order: 'asc' | 'desc';
  readonly filter: readonly Condition[];
  readonly any: boolean;
  readonly take: number | 'all' | 'first' | 'unique';
}

export type Step = Write | Read;

const mutation: MutationBuilder<Model, 'public'> = mutationGeneric;
const query: QueryBuilder<Model, 'public'> = queryGeneric;

/** All steps in one transaction. `ids` are those of the documents inserted before; new ones are added to them. */
export const run = mutation({
  args: { ids: v.array(v.string()), steps: v.array(v.any()) },
  handler: async ({ db }, { ids, steps }) => {
    const results: unknown[] = [];
    for (const step of steps as Step[]) results.push((await take(db, ids as Id[], step)) ?? null);
    return { ids, results };
  },
});

export const read = query({ args: { read: v.any() }, handler: ({ db }, args) => find(db, args.read) });

export const page = query({
  args: { read: v.any(), cursor: v.union(v.string(), v.null()), numItems: v.number() },
  handler: ({ db }, args) => ordered(db, args.read).paginate({ cursor: args.cursor, numItems: args.numItems }),
});

export const clear = mutation({
  args: {},
  handler: async ({ db }) => {
    for (const { _id } of await db.query('things').collect()) await db.delete(_id);
  },
});

async function take(db: GenericDatabaseWriter<Model>, ids: Id[], step: Step): Promise<unknown> {
  if (step.do === 'read') return find(db, step);
  if (step.do === 'insert') return ids.push(await db.insert('things', step.fields as never));
  const id = ids[step.at % ids.length];
  if (id === undefined) return 'nothing there yet';
  switch (step.do) {
    case 'patch':
      return db.patch(id, { ...step.fields, ...Object.fromEntries(step.without.map((name) => [name, undefined])) });
    case 'replace':
      return db.replace(id, step.fields as never);
    case 'delete':
      return db.delete(id);
    case 'get':
      return db.get(id);
    case 'getOfOther':
      return db.get('others', id as never);
  }
}

function find(db: GenericDatabaseReader<Model>, read: Read): Promise<unknown> {
  const found = ordered(db, read);
  if (read.take === 'all') return found.collect();
  if (read.take === 'first') return found.first();
  return read.take === 'unique' ? found.unique() : found.take(read.take);
}

function ordered(db: GenericDatabaseReader<Model>, { index, range, order, filter, any }: Read) {
  const table = db.query('things');
  const source =
    index === undefined
      ? table
      : table.withIndex(index as 'by_a', (q) => {
          let bound = q as unknown as Record<string, (field: string, value: Value | undefined) => never>;
          for (const { is, field, value } of range) bound = bound[is]?.(field, value) ?? bound;
          return bound as never;
        });
  const found = source.order(order);
  if (filter.length === 0) return found;
  return found.filter((q) => {
    const compare = q as unknown as Record<
      Condition['is'],
      (field: unknown, value: unknown) => ExpressionOrValue<boolean>
    >;
    const all = filter.map(({ is, field, value }) => compare[is](q.field(field as 'a'), value));
    return any ? q.or(...all) : q.and(...all);
  });
}
