import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ConvexClient, ConvexHttpClient } from 'convex/browser';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { FIXTURE, mutation, query, startEngine, temporaryFolder } from '#local/convex/testing/engines.ts';

const portOf = (url: string) => Number(new URL(url).port);

test('kill -9 with 200 mutations in flight loses none that was acknowledged, and keeps no half of one', async () => {
  const data = await temporaryFolder();
  const engine = await startEngine({ data });
  const client = new ConvexHttpClient(engine.url, { logger: false });
  const acknowledged: string[] = [];
  const enough = Promise.withResolvers<void>();
  const calls = Array.from({ length: 200 }, async (_, at) => {
    const channel = `crash-${at}`;
    await client.mutation(mutation('messages:sendDespite'), { channel }, { skipQueue: true });
    acknowledged.push(channel);
    if (acknowledged.length === 40) enough.resolve();
  });
  const settled = Promise.allSettled(calls);
  await enough.promise;
  await engine.kill();
  await settled;
  expect(acknowledged.length).toBeGreaterThanOrEqual(40);

  const again = new ConvexHttpClient((await startEngine({ data })).url);
  const counts = new Map<string, number>();
  for (let at = 0; at < 200; at++) {
    const channel = `crash-${at}`;
    counts.set(channel, (await again.query(query('messages:list'), { channel })).length);
  }
  expect(acknowledged.filter((channel) => counts.get(channel) !== 2)).toEqual([]);
  expect([...counts.values()].filter((count) => count !== 0 && count !== 2)).toEqual([]);
});

test('a client goes on after kill -9 and restart: its queries are live again, its mutation runs once', async () => {
  const data = await temporaryFolder();
  const engine = await startEngine({ data });
  const client = new ConvexClient(engine.url, { logger: false });
  onTestFinished(() => client.close());
  const counts: number[] = [];
  const two = Promise.withResolvers<void>();
  client.onUpdate(query('counters:watch'), { name: 'survivor' }, (count: number) => {
    counts.push(count);
    if (count === 2) two.resolve();
  });
  await client.mutation(mutation('counters:increase'), { name: 'survivor' });
  // Sent, and perhaps run, but its answer is lost with the engine: the client asks again after the restart.
  const interrupted = client.mutation(mutation('counters:increase'), { name: 'survivor' });
  await engine.kill();
  await startEngine({ data, port: portOf(engine.url) });
  expect(await interrupted).toBe(2);
  await two.promise;
  expect(counts.at(-1)).toBe(2);
});

test('a repeated request is answered as the first time: on the same connection, a new one, and after a restart', async () => {
  const data = await temporaryFolder();
  const engine = await startEngine({ data });
  const first = await ask(engine.url, 'session-1', [0, 0]);
  expect(first[0]).toMatchObject({ success: true, result: 1 });
  expect(first[1]).toEqual(first[0]);
  expect(await ask(engine.url, 'session-1', [0])).toEqual([first[0]]);
  await engine.kill();
  const { url } = await startEngine({ data });
  expect(await ask(url, 'session-1', [0])).toEqual([first[0]]);
  expect(await ask(url, 'session-1', [1])).toMatchObject([{ result: 2 }]);
  expect(await ask(url, 'session-2', [0])).toMatchObject([{ result: 3 }]);
});

/** Sends the same mutation under these request ids on a connection of its own; the answers. */
async function ask(url: string, sessionId: string, requestIds: number[]): Promise<unknown[]> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/1.48.0/sync`);
  const answers: unknown[] = [];
  const answered = Promise.withResolvers<void>();
  socket.on('message', (data) => {
    const message = JSON.parse(data.toString());
    if (message.type === 'MutationResponse' && answers.push(message) === requestIds.length) answered.resolve();
  });
  await new Promise((resolve) => socket.once('open', resolve));
  const send = (message: object) => socket.send(JSON.stringify(message));
  send({ type: 'Connect', sessionId, connectionCount: 0, lastCloseReason: null, clientTs: 0 });
  for (const requestId of requestIds) {
    send({ type: 'Mutation', requestId, udfPath: 'counters:increase', args: [{ name: 'repeated' }] });
  }
  await answered.promise;
  socket.close();
  return answers;
}

test('timestamps on the wire never go back, across a restart too', async () => {
  const data = await temporaryFolder();
  const engine = await startEngine({ data });
  const timestamp = async (url: string) => {
    const { ts } = (await (await fetch(`${url}/api/query_ts`, { method: 'POST' })).json()) as { ts: string };
    return Buffer.from(ts, 'base64').readBigUInt64LE();
  };
  const seen = [await timestamp(engine.url)];
  for (let at = 0; at < 3; at++) {
    await new ConvexHttpClient(engine.url).mutation(mutation('counters:increase'), { name: 'time' });
    seen.push(await timestamp(engine.url));
  }
  await engine.kill();
  seen.push(await timestamp((await startEngine({ data })).url));
  expect(seen.every((at, index) => index === 0 || at > (seen[index - 1] ?? 0n))).toBe(true);
});

test('a disk that takes no more ends the engine with a sentence, and what it acknowledged is kept', async () => {
  const data = await temporaryFolder();
  await (await startEngine({ data })).stop();
  // A limit on file sizes, without the signal that usually comes with it: writes fail as on a full disk.
  const main = join(import.meta.dirname, '../main.ts');
  const command = `trap '' XFSZ; ulimit -f 2000; exec "$0" "$@"`;
  const flags = ['--functions', FIXTURE, '--data', data, '--port', '0'];
  const child = spawn('bash', ['-c', command, process.execPath, main, ...flags]);
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = once(child, 'close');
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const client = new ConvexHttpClient(line.toString().trim().split(' ').at(-1) ?? '', { logger: false });
  let kept = 0;
  const body = 'x'.repeat(100_000);
  await expect(async () => {
    for (; kept < 1_000; kept++) await client.mutation(mutation('messages:send'), { channel: 'full', body });
  }).rejects.toThrow();
  expect((await ended)[0]).toBe(74);
  expect(said).toContain('Commits cannot be written to disk');

  const again = new ConvexHttpClient((await startEngine({ data })).url);
  expect(kept).toBeGreaterThan(0);
  expect(await again.query(query('messages:list'), { channel: 'full' })).toHaveLength(kept);
});
