import { ConvexHttpClient } from 'convex/browser';
import type { FunctionReference } from 'convex/server';
import { convexToJson, type Value } from 'convex/values';
import { convexTest } from 'convex-test';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mutation, query, startEngine } from '#local/convex/testing/engines.ts';
import type { Condition, Read, Step } from './parity/ops.ts';
import schema from './parity/schema.ts';

/** The engine, or convex-test: whatever runs `parity/ops.ts`. */
interface Backend {
  query(fn: FunctionReference<'query'>, args: Record<string, unknown>): Promise<unknown>;
  mutation(fn: FunctionReference<'mutation'>, args: Record<string, unknown>): Promise<unknown>;
}

const leaf: fc.Arbitrary<Value> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<Value>(0, 1, 2, 'a', 'b', null, true, false, 1n, 'a\0', '') },
  fc.constantFrom<Value>(-0, Number.NaN, Infinity, -Infinity, 0.5, 2n ** 63n - 1n, -(2n ** 63n), 'é', '\uffff', '😀'),
  fc.uint8Array({ maxLength: 3 }).map((bytes) => bytes.slice().buffer),
  fc.constantFrom('x'.repeat(2_500), `${'x'.repeat(2_500)}y`),
  fc.double(),
  fc.bigInt({ min: -3n, max: 3n }),
);
const value: fc.Arbitrary<Value> = fc.oneof(
  { weight: 6, arbitrary: leaf },
  fc.array(leaf, { maxLength: 3 }),
  fc.dictionary(fc.constantFrom('x', 'y'), leaf, { noNullPrototype: true }),
);
const nested = fc.record(
  { x: value, tags: fc.array(fc.constantFrom('t', ''), { maxLength: 2 }) },
  { requiredKeys: [] },
);
const optional = { a: value, b: value, count: fc.oneof(fc.bigInt({ min: -2n, max: 2n }), fc.constant(null)), nested };
const right = fc.record({ rank: fc.integer({ min: -3, max: 3 }), ...optional }, { requiredKeys: ['rank'] });
/** Fields against the schema: one too many, or of the wrong type. */
const wrong = fc.record(
  {
    rank: fc.constantFrom<Value>(1, '1', 1n),
    count: fc.constantFrom<Value>(1, 1n),
    more: leaf,
    nested: fc.constantFrom<Value>([], { z: 1 }),
  },
  { requiredKeys: [] },
);
const fields = fc.oneof({ weight: 12, arbitrary: right }, wrong) as fc.Arbitrary<Record<string, Value>>;
const at = fc.nat(30);
const write = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('insert'), fields }) },
  fc.record({ do: fc.constant('replace'), at, fields }),
  fc.record({
    do: fc.constant('patch'),
    at,
    fields: fc.oneof({ weight: 6, arbitrary: fc.record(optional, { requiredKeys: [] }) }, fields),
    without: fc.subarray(['a', 'b', 'count', 'nested', 'rank'], { maxLength: 2 }),
  }),
  fc.record({ do: fc.constantFrom('delete', 'get', 'get', 'getOfOther'), at }),
);

const INDEXES = {
  by_a: ['a'],
  by_a_and_b: ['a', 'b'],
  by_rank: ['rank'],
  by_nested_x_and_count: ['nested.x', 'count'],
  by_creation_time: [],
} as const;
type IndexName = keyof typeof INDEXES;

function conditionOn(field: string, is: fc.Arbitrary<Condition['is']>): fc.Arbitrary<Condition> {
  const fitting = field === 'rank' ? fc.integer({ min: -3, max: 3 }) : value;
  return fc.record(
    { field: fc.constant(field), is, value: fitting },
    { requiredKeys: field === 'rank' ? ['field', 'is', 'value'] : ['field', 'is'] },
  );
}
const over = fc.constantFrom<Condition['is']>('gt', 'gte');
const under = fc.constantFrom<Condition['is']>('lt', 'lte');
const equal = fc.constant<Condition['is']>('eq');

/** Conditions in the order of the index: equal ones, then bounds on the next field. */
function rangeOf(index: IndexName): fc.Arbitrary<readonly Condition[]> {
  const names = INDEXES[index];
  return fc.nat(names.length).chain((equals) => {
    const eq = names.slice(0, equals).map((field) => conditionOn(field, equal));
    const next = names[equals];
    if (next === undefined) return fc.tuple(...eq);
    const ends = fc.oneof(
      fc.constant([]),
      fc.tuple(conditionOn(next, over)),
      fc.tuple(conditionOn(next, under)),
      fc.tuple(conditionOn(next, over), conditionOn(next, under)),
    );
    return fc.tuple(fc.tuple(...eq), ends).map(([first, then]) => [...first, ...then]);
  });
}
const disordered = fc.array(conditionOn('b', fc.constantFrom('eq', 'gt', 'lt')), { minLength: 1, maxLength: 3 });
// convex-test compares by JavaScript's `<` in filters, which is Convex's order for numbers alone.
const condition = fc.oneof(
  conditionOn('rank', fc.constantFrom('eq', 'neq', 'gt', 'gte', 'lt', 'lte')),
  ...['a', 'b', 'nested.x', 'nested'].map((field) => conditionOn(field, fc.constantFrom('eq', 'neq'))),
);
const rest = {
  order: fc.constantFrom('asc', 'desc'),
  filter: fc.oneof(fc.constant([]), fc.array(condition, { maxLength: 2 })),
  any: fc.boolean(),
  take: fc.oneof(fc.constantFrom('all', 'all', 'first', 'unique'), fc.integer({ min: 0, max: 4 })),
};
const read = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: fc.constant('read'), range: fc.constant([]), ...rest }) },
  {
    weight: 6,
    arbitrary: fc.constantFrom(...(Object.keys(INDEXES) as IndexName[])).chain((index) => {
      const range = fc.oneof({ weight: 12, arbitrary: rangeOf(index) }, disordered);
      return fc.record({ do: fc.constant('read'), index: fc.constant(index), range, ...rest });
    }),
  },
) as fc.Arbitrary<Read>;
const steps = fc.array(fc.oneof({ weight: 4, arbitrary: write as fc.Arbitrary<Step> }, read), {
  minLength: 1,
  maxLength: 6,
});

/** What happened, in words that are the same whoever says it. */
function kindOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const kinds = {
    'against the schema': /does not match the schema|Validator error/,
    'no such document': /nonexistent|non-existent/,
    'not unique': /unique\(\) query returned more than one/,
    'disordered range': /index fields in order|Incorrect (field|operator) used/,
    'id of another table': /in table .others. but got ID in table .things./,
  };
  return Object.entries(kinds).find(([, words]) => words.test(message))?.[0] ?? message;
}

/** One text for a result of either backend: ids by the order of insertion, no creation times. */
function shown(result: unknown, ids: readonly string[]): string {
  const names = new Map(ids.map((id, order) => [id, `#${order}`]));
  return JSON.stringify(convexToJson((result ?? null) as Value), (key, part) => {
    if (key === '_creationTime') return undefined;
    if (typeof part === 'string') return names.get(part) ?? part;
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1)));
  });
}

/** Runs everything on one backend and tells what came of it, step by step. */
async function story(backend: Backend, transactions: Step[][], reads: Read[], numItems: number): Promise<string[]> {
  let ids: string[] = [];
  const told: string[] = [];
  const tell = async (work: () => Promise<unknown>) => told.push(await work().then((is) => shown(is, ids), kindOf));
  await backend.mutation(mutation('ops:clear'), {});
  for (const steps of transactions) {
    await tell(async () => {
      const done = (await backend.mutation(mutation('ops:run'), { ids, steps })) as { ids: string[]; results: unknown };
      ids = done.ids;
      return done.results;
    });
  }
  for (const read of reads) {
    await tell(() => backend.query(query('ops:read'), { read }));
    await tell(async () => {
      const pages: unknown[][] = [];
      for (let cursor: string | null = null, isDone = false; !isDone; ) {
        const answer = (await backend.query(query('ops:page'), { read, cursor, numItems })) as {
          page: unknown[];
          isDone: boolean;
          continueCursor: string;
        };
        pages.push(answer.page);
        ({ continueCursor: cursor, isDone } = answer);
      }
      // convex-test knows already that a page that is just full is the last one.
      return pages.filter((page) => page.length > 0);
    });
  }
  return told;
}

test('random operations have the results and errors of convex-test', async () => {
  const { url } = await startEngine({ functions: `${import.meta.dirname}/parity` });
  const client = new ConvexHttpClient(url, { logger: false });
  const engine: Backend = {
    query: (fn, args) => client.query(fn, args),
    mutation: (fn, args) => client.mutation(fn, args),
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(steps, { minLength: 1, maxLength: 8 }),
      fc.array(read, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 5 }),
      async (transactions, reads, numItems) => {
        const modules = { './_generated/api.ts': async () => ({}), './ops.ts': () => import('./parity/ops.ts') };
        const peer = convexTest({ schema, modules }) as unknown as Backend;
        const expected = await story(peer, transactions, reads, numItems);
        expect(await story(engine, transactions, reads, numItems)).toEqual(expected);
      },
    ),
    // Without the seed it looks for what nobody has seen yet.
    { numRuns: 120, interruptAfterTimeLimit: 8_000, seed: 20_260_401 },
  );
});
