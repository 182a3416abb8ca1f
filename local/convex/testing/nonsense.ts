import fc from 'fast-check';

const deep = fc
  .tuple(fc.constantFrom(10, 63, 65, 200, 20_000), fc.constantFrom(['[', ']'], ['{"a":', '}']))
  .map(([levels, [open, close]]) => `${open?.repeat(levels)}1${close?.repeat(levels)}`);
const strange = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom('__proto__', 'constructor', -1, 1.5, 2 ** 32, 2 ** 53, 1e308, null, '', '\0', '\ud800', [], {}),
  fc.constantFrom({ $integer: 'x' }, { $bytes: 5 }, { $float: '' }, { $undefined: 1 }, { $integer: '', b: 1 }),
  fc.constantFrom('a'.repeat(70_000), 'é:x', 'counters:watch', 'messages:purge', '_generated/server:query'),
);
const strangeObject = fc
  .dictionary(fc.constantFrom('name', '__proto__', 'constructor', 'toString', '$a', '_b', ''), strange)
  .map((object) => JSON.parse(JSON.stringify(object).replace(/"constructor":/, '"__proto__":')));
const path = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('counters:watch', 'counters:increase', 'sizes:watch', 'values:put') },
  fc.constantFrom(
    '',
    ':',
    '::',
    'a:b:c',
    '__proto__:x',
    'constructor',
    '../schema:default',
    'values',
    'x'.repeat(9_999),
  ),
);
const args = fc.oneof(fc.constant([{ name: 'fuzzed' }]), fc.array(strangeObject, { maxLength: 2 }), strange);

const version = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(2), strange);
const modification = fc.oneof(
  fc.record(
    { type: fc.constant('Add'), queryId: version, udfPath: path, args, journal: strange },
    { requiredKeys: [] },
  ),
  fc.record({ type: fc.constantFrom('Remove', 'Add', 'Change'), queryId: version }),
);
const message = fc.oneof(
  fc.record({
    type: fc.constant('ModifyQuerySet'),
    baseVersion: version,
    newVersion: fc.oneof(fc.constant(1), version),
    modifications: fc.oneof({ weight: 5, arbitrary: fc.array(modification, { maxLength: 3 }) }, strange),
  }),
  fc.record(
    {
      type: fc.constant('Authenticate'),
      tokenType: fc.oneof(fc.constantFrom('User', 'Admin', 'None'), strange),
      value: fc.oneof(fc.constantFrom('key', 'a.b.c', 'eyJhbGciOiJub25lIn0.e30.'), strange),
      baseVersion: version,
      impersonating: fc.oneof(strangeObject, strange),
    },
    { requiredKeys: ['type', 'tokenType', 'baseVersion'] },
  ),
  fc.record({ type: fc.constantFrom('Mutation', 'Action'), requestId: version, udfPath: path, args }),
  fc.record({ type: fc.constantFrom('Connect', 'Event', 'Transition', '__proto__'), sessionId: strange }),
);
/** Frames for the sync websocket: nearly right, half of one, or no message at all. */
export const frame: fc.Arbitrary<Buffer | string> = fc.oneof(
  { weight: 8, arbitrary: message.map((one) => JSON.stringify(one)) },
  fc.tuple(message, fc.nat(300)).map(([one, length]) => JSON.stringify(one).slice(0, length)),
  fc.json().map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  deep,
  deep.map((value) => `{"type":"Mutation","requestId":1,"udfPath":"values:put","args":[{"values":[${value}]}]}`),
  fc.constantFrom('', 'null', '[]', '\ufeff{}', '{"type":"Connect","sessionId":"other"}'),
);
/** The last part of an address under `/api`. */
export const route = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('query', 'mutation', 'action', 'function', 'query_at_ts', 'query_ts') },
  fc.constantFrom(
    'update_environment_variables',
    'run/counters/watch',
    'run/a%2/b',
    'run/%00/x',
    'run/x',
    'run/__proto__/x',
  ),
  fc.webPath().map((text) => text.slice(1)),
);
/** Bodies of requests, most of them JSON. */
export const body = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({ path, args, format: strange, ts: strange }, { requiredKeys: [] })
      .map((one) => JSON.stringify(one)),
  },
  fc
    .record({ changes: fc.oneof(fc.array(fc.record({ name: strange, value: strange })), strange) })
    .map((one) => JSON.stringify(one)),
  fc.json(),
  deep,
  deep.map((value) => `{"path":"values:put","args":{"values":[${value}]}}`),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
);
/** `Authorization` headers, for an engine with the admin key `key`. */
export const authorization = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(undefined, 'Convex key') },
  fc.constantFrom(
    'Bearer',
    'Bearer a.b.c',
    'Convex',
    'Convex other',
    'Basic eDp5',
    'Convex key:bnVsbA==',
    'Convex key:W10=',
  ),
  fc.string({ unit: 'grapheme-ascii' }).map((text) => `Convex key:${text.trim()}`),
);
