import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ConvexClient, ConvexHttpClient } from 'convex/browser';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { openEngine } from '#local/convex/engine.ts';
import { FIXTURE, mutation, query, startEngine, temporaryFolder } from '#local/convex/testing/engines.ts';
import { until } from '#test/until.ts';
import { serveSync } from './sync-server.ts';

function follow(url: string, args: { channel: string; letters: number; text?: string }) {
  const client = new ConvexClient(url, { logger: false });
  onTestFinished(() => client.close());
  const results: { count: number; text: string }[] = [];
  client.onUpdate(query('sizes:watch'), args, (result) => results.push(result));
  return { client, results };
}

/** A client on a bare socket: it says what it is told, and keeps the frames it gets. */
async function bareClient(url: string) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/1.48.0/sync`);
  onTestFinished(() => socket.terminate());
  const frames: string[] = [];
  socket.on('message', (frame) => frames.push(frame.toString()));
  await new Promise((resolve) => socket.once('open', resolve));
  const send = (message: object) => socket.send(JSON.stringify(message));
  send({ type: 'Connect', sessionId: 'bare', connectionCount: 0, lastCloseReason: null, clientTs: 0 });
  return { socket, frames, send };
}

function watching(args: object) {
  const modifications = [{ type: 'Add', queryId: 0, udfPath: 'sizes:watch', args: [args] }];
  return { type: 'ModifyQuerySet', baseVersion: 0, newVersion: 1, modifications };
}

/** Memory of the process in MiB. */
async function resident(pid: number): Promise<number> {
  const [, kib] = /^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) / 1024;
}

function connections(server: Server): Promise<number> {
  return new Promise((resolve, reject) =>
    server.getConnections((error, open) => (error ? reject(error) : resolve(open))),
  );
}

const within = 20_000;

test('a result of 8 MiB reaches the real client, and its changes too', async () => {
  const { url } = await startEngine();
  // Letters beyond the first plane, so that parts are cut inside of one as well.
  const letters = 4 * 1024 * 1024;
  const { client, results } = follow(url, { channel: 'big', letters, text: 'a😀' });
  await until(() => results.length === 1, { within, what: 'the result' });
  await client.mutation(mutation('counters:increase'), { name: 'big' });
  expect(results.map(({ count }) => count)).toEqual([0, 1]);
  for (const { text } of results) expect(text === 'a😀'.repeat(letters / 3)).toBe(true);
});

test('arguments too large for Convex are refused by name over the websocket, too', async () => {
  const { url } = await startEngine();
  const { client } = follow(url, { channel: 'large', letters: 1 });
  const body = 'x'.repeat(20 * 1024 * 1024);
  const refusal = client.mutation(mutation('messages:send'), { channel: 'large', body });
  await expect(refusal).rejects.toThrow('Arguments for messages.js:send are too large');
});

test('long transitions go in parts, and no other message comes between', async () => {
  const { url } = await startEngine();
  const { frames, send } = await bareClient(url);
  const isAnswer = (frame: string) => frame.startsWith('{"type":"MutationResponse"');
  const partOf = (frame: string) => (frame.startsWith('{"type":"TransitionChunk"') ? JSON.parse(frame) : undefined);
  send(watching({ channel: 'parts', letters: 3_500_000 }));
  for (let at = 0; at < 20; at++) {
    send({ type: 'Mutation', requestId: at, udfPath: 'counters:increase', args: [{ name: 'parts' }] });
  }
  await until(() => frames.filter(isAnswer).length === 20 && partOf(frames.at(-1) ?? '')?.partNumber === 3, {
    within,
    what: '20 answers and a last transition',
  });
  const parts = frames.map(partOf);
  expect(parts.filter((part) => part?.partNumber === 0).length).toBeGreaterThan(0);
  for (const [at, part] of parts.entries()) {
    const { transitionId, partNumber } = part ?? { partNumber: 3 };
    if (partNumber < 3)
      expect(parts[at + 1]).toMatchObject({ transitionId, partNumber: partNumber + 1, totalParts: 4 });
  }
  const first = parts.findIndex((part) => part !== undefined);
  const whole = JSON.parse(
    parts
      .slice(first, first + 4)
      .map(({ chunk }) => chunk)
      .join(''),
  );
  expect(whole.modifications[0].value.text).toHaveLength(3_500_000);
});

test('results too big for one transition come in several; the version moves with the last', async () => {
  const { url } = await startEngine();
  const { frames, send } = await bareClient(url);
  const adds = Array.from({ length: 7 }, (_, queryId) => ({
    ...watching({ channel: 'huge', letters: 10_000_000, text: 'abcdefghij'.slice(queryId) }).modifications[0],
    queryId,
  }));
  send({ type: 'ModifyQuerySet', baseVersion: 0, newVersion: 1, modifications: adds });
  const isLast = (frame: string) => JSON.parse(frame).partNumber === JSON.parse(frame).totalParts - 1;
  await until(() => frames.filter(isLast).length === 2, { within, what: 'two transitions' });
  const transitions = ['', ''];
  let at = 0;
  for (const frame of frames) {
    transitions[at] += JSON.parse(frame).chunk;
    if (isLast(frame)) at++;
  }
  const [first, last] = transitions.map((text) => JSON.parse(text));
  expect([...first.modifications, ...last.modifications].map(({ queryId }) => queryId)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(first.endVersion).toEqual(first.startVersion);
  expect(last.startVersion).toEqual(first.startVersion);
  expect(last.endVersion).toMatchObject({ querySet: 1, identity: 0 });
});

test('a client that takes nothing is cut off after a while, one that reads is not', async () => {
  const urls = { cloud: 'http://127.0.0.1', site: 'http://127.0.0.1' };
  const engine = await openEngine({ functions: FIXTURE, data: await temporaryFolder(), urls, onBroken: () => {} });
  onTestFinished(() => engine.close());
  const server = createServer();
  const endSync = serveSync(server, engine, 400);
  onTestFinished(endSync);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const [reading, stuck] = [await bareClient(url), await bareClient(url)];
  let ended = false;
  reading.socket.on('close', () => {
    ended = true;
  });
  stuck.socket.pause();
  stuck.send(watching({ channel: 'stuck', letters: 10_000_000 }));
  for (let sent = 0; (await connections(server)) > 1; sent++) {
    reading.send({ type: 'Mutation', requestId: sent, udfPath: 'counters:increase', args: [{ name: 'reads' }] });
    await until(() => reading.frames.some((frame) => frame.includes(`"requestId":${sent},`)), {
      within,
      what: 'an answer',
    });
  }
  expect(ended).toBe(false);
});

test('clients that do not read cost little: the others are served, and they get the newest when they read', async () => {
  const engine = await startEngine();
  const channel = 'slow';
  const stuck = await Promise.all(Array.from({ length: 5 }, () => bareClient(engine.url)));
  for (const { socket, frames, send } of stuck) {
    send(watching({ channel, letters: 500_000 }));
    await until(() => frames.length === 1, { within, what: 'the first result' });
    socket.pause();
    // It goes on asking for what it does not read: 1 GB in all.
    for (let at = 0; at < 200; at++) {
      send({ type: 'Mutation', requestId: at, udfPath: 'sizes:answers', args: [{ letters: 1_000_000 }] });
    }
  }
  const { results } = follow(engine.url, { channel, letters: 10 });
  const http = new ConvexHttpClient(engine.url);
  const before = await resident(engine.pid);
  const mutations = 3_000;
  for (let at = 0; at < mutations / 50; at++) {
    const fifty = Array.from({ length: 50 }, () =>
      http.mutation(mutation('counters:increase'), { name: channel }, { skipQueue: true }),
    );
    await Promise.all(fifty);
  }
  await until(() => results.at(-1)?.count === mutations, { within, what: 'the newest result' });
  // Each change is 500 KB for each of the five: all of them were 7 GiB.
  expect((await resident(engine.pid)) - before).toBeLessThan(400);

  const newest = `"count":${mutations},`;
  for (const { socket, frames } of stuck) {
    socket.resume();
    await until(() => frames.some((frame) => frame.includes(newest)), { within, what: 'the newest result' });
    expect(frames.filter((frame) => frame.startsWith('{"type":"Transition"')).length).toBeLessThan(mutations / 10);
    socket.terminate();
  }
});
