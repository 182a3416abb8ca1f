import { afterEach, expect, test } from 'vitest';
import { AppError } from '#errors';
import { until } from '#test/until.ts';
import { type Breaker, createBreaker } from './breaker.ts';
import { guard } from './guard.ts';

const away = () => Promise.reject(new AppError('STORE_UNAVAILABLE', 'Nobody answers.'));
const missing = () => Promise.reject(new AppError('NOT_FOUND', 'No such object.'));
const aborted = () => Promise.reject(new DOMException('aborted', 'AbortError'));
const fine = () => Promise.resolve('fine');

let breaker: Breaker | undefined;
afterEach(() => breaker?.close());

/** One whose probe does as `probe` says at the time. */
function open(probe: () => Promise<unknown> = away, probeEveryMs = 60_000): Breaker {
  breaker = createBreaker({ name: 'The store', counts: new Set(['STORE_UNAVAILABLE']), probe, probeEveryMs });
  return breaker;
}

async function call(one: Breaker, how: () => Promise<unknown>, times = 1): Promise<void> {
  for (let at = 0; at < times; at += 1) await one.run(how).catch(() => undefined);
}

test('opens after five answers in a row that say it is away, and refuses the next call without making it', async () => {
  const one = open();
  const heard: boolean[] = [];
  one.onChange((isOpen) => heard.push(isOpen));
  await call(one, away, 4);
  expect(one.refusal).toBeUndefined();
  await call(one, away);
  let calls = 0;
  const refused = one.run(async () => (calls += 1));
  await expect(refused).rejects.toMatchObject({
    ...{ code: 'STORE_UNAVAILABLE', unavailable: true },
    details: { breaker: 'open', retryAfter: 60 },
    message: 'The store is away, and asked every 60 s whether it is back. It last said: Nobody answers.',
  });
  expect([calls, heard, one.refusal?.code]).toEqual([0, [true], 'STORE_UNAVAILABLE']);
});

test.each([
  ['a success', fine],
  ['another error, which is an answer', missing],
])('%s in between begins the count anew', async (_, answer) => {
  const one = open();
  await call(one, away, 4);
  await call(one, answer);
  await call(one, away, 4);
  expect(one.refusal).toBeUndefined();
});

test('gives what a call gives, and throws what it throws', async () => {
  const one = open();
  expect(await one.run(fine)).toBe('fine');
  await expect(one.run(missing)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(one.run(aborted)).rejects.toMatchObject({ name: 'AbortError' });
});

test('an aborted call says nothing: it neither opens nor begins anew', async () => {
  const one = open();
  await call(one, away, 4);
  await call(one, aborted, 10);
  expect(one.refusal).toBeUndefined();
  await call(one, away);
  expect(one.refusal).toBeDefined();
});

test('asks one probe at a time, and closes when one is answered', async () => {
  let probes = 0;
  let asking = 0;
  let most = 0;
  let isBack = false;
  const one = open(async () => {
    probes += 1;
    most = Math.max(most, ++asking);
    await new Promise((resolve) => setTimeout(resolve, 5));
    asking -= 1;
    return isBack ? missing() : away();
  }, 10);
  await call(one, away, 5);
  await until(() => probes >= 3, { within: 5_000, what: 'three probes' });
  expect(one.refusal).toBeDefined();
  isBack = true;
  await until(() => !one.refusal, { within: 5_000, what: 'it to close' });
  expect(await one.run(fine)).toBe('fine');
  expect(most).toBe(1);
});

test('a call that was begun before and refused in its middle says nothing new', async () => {
  const one = open();
  const opened = Promise.withResolvers<void>();
  const begun = one.run(() => opened.promise.then(() => one.run(fine)));
  await call(one, away, 5);
  opened.resolve();
  await expect(begun).rejects.toMatchObject({ details: { breaker: 'open' } });
  expect(one.refusal?.message.match(/It last said/g)).toHaveLength(1);
});

test('refuses callers while the probe is under way', async () => {
  const under = Promise.withResolvers<void>();
  let asked = false;
  const one = open(() => {
    asked = true;
    return under.promise;
  }, 10);
  await call(one, away, 5);
  await until(() => asked, { within: 5_000, what: 'the probe' });
  await expect(one.run(fine)).rejects.toMatchObject({ details: { breaker: 'open' } });
  under.resolve();
  await until(() => !one.refusal, { within: 5_000, what: 'it to close' });
});

test('a guarded port goes through it with every call but those that are free', async () => {
  const one = open();
  const port = guard({ kind: 'disk', get: away, sign: (key: string) => `signed ${key}` }, one, ['sign']);
  await call(one, away, 5);
  await expect(port.get()).rejects.toMatchObject({ details: { breaker: 'open' } });
  expect([port.kind, port.sign('a')]).toEqual(['disk', 'signed a']);
});
