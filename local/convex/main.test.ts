import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ConvexHttpClient } from 'convex/browser';
import { expect, test } from 'vitest';
import { spawnEngine } from './spawn.ts';
import { FIXTURE, folderOf, mutation, query, startEngine, temporaryFolder } from './testing/engines.ts';

const refusal = async (functions: string, data?: string) => {
  const started = spawnEngine({ functions, data: data ?? (await temporaryFolder()) });
  return started.then(
    async (engine) => {
      await engine.kill();
      return 'it started';
    },
    (error: Error) => error.message,
  );
};

async function run(...flags: string[]): Promise<{ code: number; said: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), ...flags]);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, said };
}

test.each([
  [[], '--functions, --data and --port are needed.'],
  [['--functions', 'f', '--data', 'd', '--port', 'x'], '--port must be a number from 0 to 65535, not x.'],
  [['--nonsense'], "Unknown option '--nonsense'"],
])('flags %j are refused with a sentence', async (flags, sentence) => {
  const { code, said } = await run(...flags);
  expect(code).toBe(64);
  expect(said).toContain(sentence);
});

test('a port in use is said so, and the data folder is free again', async () => {
  const { url } = await startEngine();
  const data = await temporaryFolder();
  const { port } = new URL(url);
  const { code, said } = await run('--functions', FIXTURE, '--data', data, '--port', port);
  expect([code, said]).toEqual([1, `Port ${port} on 127.0.0.1 is in use.\n`]);
  await startEngine({ data });
});

test('functions that do not bundle are named by file and line', async () => {
  const functions = await folderOf({ 'good.ts': 'export const a = 1;', 'bad.ts': 'export const a = 1;\nconst = 2;' });
  expect(await refusal(functions)).toMatch(/bad\.ts:2:7 does not bundle: Expected identifier/);
  expect(await refusal(await folderOf({ 'throws.ts': "throw new Error('at load');" }))).toMatch(
    /throws\.ts does not load: at load/,
  );
  expect(await refusal(await folderOf({}))).toMatch(/holds no functions/);
  expect(await refusal('/does/not/exist')).toMatch(/does not exist/);
});

test('one data folder serves one live engine; the lock of a killed one is taken over', async () => {
  const data = await temporaryFolder();
  const engine = await startEngine({ data });
  expect(await refusal(FIXTURE, data)).toBe(
    `The data folder ${data} is in use by the engine with process id ${engine.pid}.`,
  );
  await engine.kill();
  await startEngine({ data });
});

test('SIGTERM ends it cleanly, and the next start finds all data', async () => {
  const data = await temporaryFolder();
  const engine = await startEngine({ data });
  const id = await new ConvexHttpClient(engine.url).mutation(mutation('messages:send'), { channel: 'c', body: 'kept' });
  await engine.stop();
  const { url } = await startEngine({ data });
  expect(await new ConvexHttpClient(url).query(query('messages:get'), { id })).toMatchObject({ body: 'kept' });
});

const HEAD =
  "import { defineSchema, defineTable, queryGeneric, mutationGeneric } from 'convex/server'; import { v } from 'convex/values';\n";
const things = (fields: string, indexes = '') =>
  `${HEAD}export default defineSchema({ things: defineTable(${fields})${indexes} });`;
const thingFunctions = `${HEAD}
import { twice } from './lib/twice';
export const add = mutationGeneric({ handler: (ctx, { n }) => ctx.db.insert('things', { n }) });
export const addElsewhere = mutationGeneric({ handler: (ctx, { n }) => ctx.db.insert('undeclared', { n: twice(n) }) });
export const elsewhere = queryGeneric({ handler: async (ctx) => (await ctx.db.query('undeclared').collect()).map(({ n }) => n) });
export const sorted = queryGeneric({ handler: async (ctx) => (await ctx.db.query('things').withIndex('by_n').collect()).map(({ n }) => n) });
`;
const lib = { 'lib/twice.ts': 'export const twice = (n: number) => 2 * n;' };

test('a folder with bare imports is served; tables may be undeclared; indexes are built and dropped as the schema goes', async () => {
  const data = await temporaryFolder();
  const version = (schema: string) => folderOf({ 'schema.ts': schema, 'things.ts': thingFunctions, ...lib });
  const plain = await startEngine({ data, functions: await version(things('{ n: v.number() }')) });
  const client = new ConvexHttpClient(plain.url);
  for (const n of [3, 1, 2]) await client.mutation(mutation('things:add'), { n });
  await client.mutation(mutation('things:addElsewhere'), { n: 4 });
  expect(await client.query(query('things:elsewhere'), {})).toEqual([8]);
  await expect(client.query(query('things:sorted'), {})).rejects.toThrow('Index things.by_n not found.');
  await plain.stop();

  const indexed = things('{ n: v.number() }', ".index('by_n', ['n'])");
  const withIndex = await startEngine({ data, functions: await version(indexed) });
  const other = new ConvexHttpClient(withIndex.url);
  expect(await other.query(query('things:sorted'), {})).toEqual([1, 2, 3]);
  await other.mutation(mutation('things:add'), { n: 0 });
  expect(await other.query(query('things:sorted'), {})).toEqual([0, 1, 2, 3]);
  expect(await other.query(query('things:elsewhere'), {})).toEqual([8]);
  await withIndex.stop();

  const dropped = await startEngine({ data, functions: await version(things('{ n: v.number() }')) });
  await expect(new ConvexHttpClient(dropped.url).query(query('things:sorted'), {})).rejects.toThrow('not found');
});

test('documents that do not fit a changed schema keep the engine from starting', async () => {
  const data = await temporaryFolder();
  const before = { 'schema.ts': things('{ n: v.any() }'), 'things.ts': thingFunctions, ...lib };
  const engine = await startEngine({ data, functions: await folderOf(before) });
  const id = await new ConvexHttpClient(engine.url).mutation(mutation('things:add'), { n: 'text' });
  await engine.stop();
  const after = await folderOf({ ...before, 'schema.ts': things('{ n: v.number() }') });
  expect(await refusal(after, data)).toBe(
    `Document ${id} in table "things" does not match the schema: Value does not match validator.\nPath: .n\nValue: "text"\nValidator: v.float64()`,
  );
});
