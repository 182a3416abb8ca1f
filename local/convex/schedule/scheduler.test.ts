import { ConvexClient, ConvexHttpClient } from 'convex/browser';
import { expect, onTestFinished, test, vi } from 'vitest';
import { action, mutation, query, sharedEngine, startEngine, temporaryFolder } from '#local/convex/testing/engines.ts';

const engine = sharedEngine();
const connect = (url = engine.url) => new ConvexHttpClient(url, { logger: false });
const HOUR = 3_600_000;
const patience = { timeout: 20_000, interval: 20 };

const count = (name: string, client = connect()) => client.query(query('counters:watch'), { name });
const schedule = (name: string, job: string, delay = 0, client = connect()): Promise<string> =>
  client.mutation(mutation('jobs:schedule'), { name, job, delay });
const status = (id: string, client = connect()) => client.query(query('jobs:status'), { id });
const state = async (id: string, client = connect()) => (await status(id, client)).state;
const becomes = (id: string, wanted: object, client = connect()) =>
  vi.waitFor(async () => expect(await state(id, client)).toEqual(wanted), patience);
const refusal = (call: Promise<unknown>) => call.catch((error: Error) => error.message);

test('a scheduled mutation waits, runs once, and tells how it went', async () => {
  const id = await schedule('later', 'counters:increase', 400);
  const pending = await status(id);
  expect(pending).toMatchObject({ _id: id, name: 'counters.js:increase', args: [{ name: 'later' }] });
  expect(pending.state).toEqual({ kind: 'pending' });
  expect(await count('later')).toBe(0);
  await becomes(id, { kind: 'success' });
  expect(await count('later')).toBe(1);
  const { scheduledTime, completedTime } = await status(id);
  expect(completedTime).toBeGreaterThanOrEqual(scheduledTime);
});

test('runAt takes a date; a time long past runs at once, one too far off is refused', async () => {
  const at = (time: number, name: string) => connect().mutation(mutation('jobs:scheduleAt'), { time, name });
  await becomes(await at(Date.now() - HOUR, 'past'), { kind: 'success' });
  expect(await refusal(at(Date.now() + 6 * 366 * 24 * HOUR, 'past'))).toMatch(/is more than 5 years in the future$/);
});

test('what a mutation scheduled before it failed never runs', async () => {
  const client = connect();
  expect(await refusal(client.mutation(mutation('jobs:scheduleAndThrow'), { name: 'thrown' }))).toContain('on purpose');
  await becomes(await schedule('after the throw', 'counters:increase'), { kind: 'success' });
  expect(await count('thrown')).toBe(0);
});

test('a scheduled mutation that fails writes nothing but its failure', async () => {
  const id = await schedule('fails', 'jobs:increaseAndThrow');
  await becomes(id, { kind: 'failed', error: 'Uncaught Error: on purpose' });
  expect(await count('fails')).toBe(0);
  const query = await schedule('fails', 'counters:watch');
  await becomes(query, {
    kind: 'failed',
    error: 'counters.js:watch is a query: only mutations and actions can be scheduled.',
  });
});

test('a canceled function does not run; a canceled action counts as that', async () => {
  const id = await schedule('canceled', 'counters:increase', HOUR);
  await connect().mutation(mutation('jobs:cancel'), { id });
  expect(await state(id)).toEqual({ kind: 'canceled' });
  const running = await schedule('canceled while it runs', 'jobs:actForever');
  await vi.waitFor(async () => expect(await count('canceled while it runs')).toBe(1), patience);
  expect(await state(running)).toEqual({ kind: 'inProgress' });
  await connect().mutation(mutation('jobs:cancel'), { id: running });
  expect(await state(running)).toEqual({ kind: 'canceled' });
  const done = await schedule('done before', 'counters:increase');
  await becomes(done, { kind: 'success' });
  await connect().mutation(mutation('jobs:cancel'), { id: done });
  expect(await state(done)).toEqual({ kind: 'success' });
});

test('actions schedule and cancel, and are scheduled', async () => {
  const [canceled, kept] = (await connect().action(action('jobs:scheduleByAction'), { name: 'by action' })) as string[];
  await becomes(kept ?? '', { kind: 'success' });
  await vi.waitFor(async () => expect(await count('by action')).toBe(2), patience);
  expect(await state(canceled ?? '')).toEqual({ kind: 'canceled' });
});

test('an action learns which it is, and what it schedules once it is canceled never runs', async () => {
  const id = await schedule('knows', 'jobs:actWhenCanceled');
  await vi.waitFor(async () => expect(await count('knows')).toBe(1), patience);
  const before = await connect().query(query('jobs:states'), {});
  await connect().mutation(mutation('jobs:cancel'), { id });
  await vi.waitFor(async () => expect(await count('knows, done')).toBe(1), patience);
  const after = await connect().query(query('jobs:states'), {});
  expect(after.canceled - (before.canceled ?? 0)).toBe(2);
  expect(await count('knows, late')).toBe(0);
});

test('mistakes are told where they are made, and functions cannot write to the table', async () => {
  expect(await refusal(schedule('x', 'nowhere:at'))).toContain(
    'Attempted to schedule function at nonexistent path: nowhere.js',
  );
  expect(await refusal(schedule('x', 'counters:nothing'))).toContain(
    'Attempted to schedule function, but no exported function nothing found in the file: counters.js. Did you forget to export it?',
  );
  const id = await schedule('x', 'counters:increase', HOUR);
  expect(await refusal(connect().mutation(mutation('jobs:meddle'), { id }))).toContain('are read-only');
  const other = await connect().mutation(mutation('counters:create'), { name: 'no job' });
  expect(await refusal(connect().mutation(mutation('jobs:cancel'), { id: other }))).toContain(
    'ArgumentValidationError',
  );
});

test('a mutation schedules at most 1,000 functions, with 16 MiB of arguments', async () => {
  const many = (count: number, letters = 0) =>
    refusal(connect().mutation(mutation('jobs:scheduleMany'), { name: 'many', count, letters }));
  expect(await many(1_001)).toBe('Uncaught Error: Too many functions scheduled by this mutation (limit: 1000)');
  expect(await many(17, 1024 * 1024)).toBe(
    'Uncaught Error: Too large total size of the arguments of scheduled functions from this mutation (limit: 16777216 bytes)',
  );
  expect(await count('many')).toBe(0);
  expect(await many(1_000)).toBe(null);
  await vi.waitFor(async () => expect(await count('many')).toBe(1_000), patience);
});

test('the state of a scheduled function is live', async () => {
  const client = new ConvexClient(engine.url, { logger: false });
  onTestFinished(() => client.close());
  const id = await schedule('watched', 'counters:increase', 300);
  const seen: string[] = [];
  client.onUpdate(query('jobs:status'), { id }, ({ state }: { state: { kind: string } }) => seen.push(state.kind));
  await vi.waitFor(() => expect(seen).toEqual(['pending', 'success']), patience);
});

test('what waits survives kill -9, runs then, and a mutation never twice', async () => {
  const data = await temporaryFolder();
  const first = await startEngine({ data });
  const client = connect(first.url);
  const waiting = await schedule('waits', 'counters:increase', HOUR, client);
  const soon = await schedule('soon', 'counters:increase', 1_500, client);
  await Promise.all(
    Array.from({ length: 10 }, () =>
      client.mutation(mutation('jobs:scheduleMany'), { name: 'raced', count: 50 }, { skipQueue: true }),
    ),
  );
  await vi.waitFor(async () => expect(await count('raced', client)).toBeGreaterThan(20), patience);
  await first.kill();
  const second = connect((await startEngine({ data })).url);
  await vi.waitFor(async () => expect(await count('raced', second)).toBe(500), patience);
  await becomes(soon, { kind: 'success' }, second);
  expect(await count('soon', second)).toBe(1);
  expect(await state(waiting, second)).toEqual({ kind: 'pending' });
  await vi.waitFor(
    async () => expect(await second.query(query('jobs:states'), {})).toEqual({ pending: 1, success: 501 }),
    patience,
  );
  expect(await count('raced', second)).toBe(500);
});

test('an action cut short by kill -9 is not run again, and counts as failed', async () => {
  const data = await temporaryFolder();
  const first = await startEngine({ data });
  const id = await schedule('cut short', 'jobs:actForever', 0, connect(first.url));
  await vi.waitFor(async () => expect(await count('cut short', connect(first.url))).toBe(1), patience);
  await first.kill();
  const second = connect((await startEngine({ data })).url);
  expect(await state(id, second)).toEqual({ kind: 'failed', error: 'Transient error while executing action' });
  await becomes(await schedule('after', 'counters:increase', 0, second), { kind: 'success' }, second);
  expect(await count('cut short', second)).toBe(1);
});
