import { ConvexHttpClient } from 'convex/browser';
import { expect, test, vi } from 'vitest';
import { spawnEngine } from '#local/convex/spawn.ts';
import { folderOf, query, startEngine, temporaryFolder } from '#local/convex/testing/engines.ts';

const patience = { timeout: 20_000, interval: 20 };
const FUNCTIONS = `
import { internalActionGeneric, internalMutationGeneric, queryGeneric } from 'convex/server';
import { makeFunctionReference } from 'convex/server';
export const note = internalMutationGeneric({ handler: (ctx, { what }) => ctx.db.insert('notes', { what }) });
export const fail = internalMutationGeneric({
  handler: async (ctx, { what }) => { await ctx.db.insert('notes', { what }); throw new Error('on purpose'); },
});
const noteReference = makeFunctionReference('notes:note');
export const slow = internalActionGeneric({
  handler: async (ctx) => {
    await ctx.runMutation(noteReference, { what: 'begins' });
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    await ctx.runMutation(noteReference, { what: 'ends' });
  },
});
export const forever = internalActionGeneric({
  handler: async (ctx) => {
    await ctx.runMutation(noteReference, { what: 'begins' });
    await new Promise(() => undefined);
  },
});
export const all = queryGeneric({ handler: async (ctx) => (await ctx.db.query('notes').collect()).map(({ what }) => what) });
export const crons = queryGeneric({
  handler: async (ctx) => (await ctx.db.system.query('_cron_jobs').collect())
    .map(({ name, nextTime, lastFailure }) => ({ name, nextTime, lastFailure })),
});
`;

/** A folder with these crons: lines like `crons.interval(…)`. */
const folder = (...crons: string[]) =>
  folderOf({
    'notes.ts': FUNCTIONS,
    'crons.ts': `
      import { cronJobs, makeFunctionReference as f } from 'convex/server';
      const crons = cronJobs();
      ${crons.join('\n')}
      export default crons;`,
  });
const notes = (client: ConvexHttpClient): Promise<string[]> => client.query(query('notes:all'), {});
const crons = (client: ConvexHttpClient): Promise<{ name: string; nextTime: number; lastFailure?: string }[]> =>
  client.query(query('notes:crons'), {});

test('an interval runs at once and again, on time; a failing one goes on and writes nothing', async () => {
  const functions = await folder(
    "crons.interval('tick', { seconds: 1 }, f('notes:note'), { what: 'tick' });",
    "crons.interval('fails', { seconds: 1 }, f('notes:fail'), { what: 'never' });",
    "crons.daily('tomorrow', { hourUTC: 0, minuteUTC: 0 }, f('notes:note'), { what: 'tomorrow' });",
  );
  const client = new ConvexHttpClient((await startEngine({ functions })).url);
  await vi.waitFor(async () => expect((await notes(client)).length).toBeGreaterThanOrEqual(3), patience);
  expect(new Set(await notes(client))).toEqual(new Set(['tick']));
  const failing = (await crons(client)).find(({ name }) => name === 'fails');
  expect(failing?.lastFailure).toBe('Uncaught Error: on purpose');
});

test('a cron that runs still is not begun again', async () => {
  const functions = await folder("crons.interval('slow', { seconds: 1 }, f('notes:slow'));");
  const client = new ConvexHttpClient((await startEngine({ functions })).url);
  await vi.waitFor(async () => expect((await notes(client)).length).toBeGreaterThanOrEqual(5), patience);
  expect((await notes(client)).slice(0, 4)).toEqual(['begins', 'ends', 'begins', 'ends']);
});

test('across kill -9 a cron keeps its time, an action cut short waits for its next, others come and go', async () => {
  const data = await temporaryFolder();
  const hourly = "crons.interval('hourly', { hours: 1 }, f('notes:note'), { what: 'hourly' });";
  const forever = "crons.interval('forever', { hours: 1 }, f('notes:forever'));";
  const gone = "crons.monthly('gone', { day: 1, hourUTC: 0, minuteUTC: 0 }, f('notes:note'), { what: 'gone' });";
  const first = await startEngine({ data, functions: await folder(hourly, forever, gone) });
  const client = new ConvexHttpClient(first.url);
  await vi.waitFor(async () => expect((await notes(client)).sort()).toEqual(['begins', 'hourly']), patience);
  await vi.waitFor(async () => {
    const next = (await crons(client)).find(({ name }) => name === 'hourly')?.nextTime ?? 0;
    expect(next).toBeGreaterThan(Date.now());
  }, patience);
  const timeOf = async (name: string, of: ConvexHttpClient) =>
    (await crons(of)).find((cron) => cron.name === name)?.nextTime;
  const time = await timeOf('hourly', client);
  await first.kill();

  const come = "crons.interval('come', { hours: 1 }, f('notes:note'), { what: 'come' });";
  const second = new ConvexHttpClient(
    (await startEngine({ data, functions: await folder(hourly, forever, come) })).url,
  );
  await vi.waitFor(async () => expect((await notes(second)).sort()).toEqual(['begins', 'come', 'hourly']), patience);
  expect(await timeOf('hourly', second)).toBe(time);
  expect(await timeOf('gone', second)).toBeUndefined();
  const cut = (await crons(second)).find(({ name }) => name === 'forever');
  expect(cut?.lastFailure).toBe('Transient error while executing action');
  expect(cut?.nextTime).toBeGreaterThan(Date.now());
});

test.each([
  ["crons.cron('odd', 'every day', f('notes:note'), { what: 'x' });", 'Cron "odd": "every day" must have five fields'],
  [
    "crons.interval('lost', { hours: 1 }, f('notes:nothing'));",
    'Cron "lost": there is no mutation or action notes:nothing',
  ],
  ["crons.interval('asks', { hours: 1 }, f('notes:all'));", 'Cron "asks": there is no mutation or action notes:all'],
])('%s keeps the engine from starting', async (cron, sentence) => {
  const started = spawnEngine({ functions: await folder(cron), data: await temporaryFolder() });
  await expect(started).rejects.toThrow(sentence);
});
