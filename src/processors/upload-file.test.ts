import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createBreaker } from '#breakers/breaker.ts';
import { guard } from '#breakers/guard.ts';
import { readConfig, type S3Config } from '#config';
import { createS3Store } from '#storage/s3.ts';
import { pieces } from '#test/sources.ts';
import { type StandInS3, startStandInS3 } from '#test/stand-in-s3.ts';
import { storeFile } from './upload-file.ts';

const BASE_MS = 400;
let s3: StandInS3;
/** A store before the stand-in, that passes a request on when it is `ready` to. */
let ready: (method: string) => Promise<void> = async () => undefined;
const front = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  await ready(request.method ?? '');
  const { host: _host, connection: _connection, ...headers } = request.headers;
  const answer = await fetch(s3.endpoint + request.url, {
    method: request.method ?? 'GET',
    headers: headers as Record<string, string>,
    ...(chunks.length > 0 ? { body: Buffer.concat(chunks) } : {}),
  });
  response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(Buffer.from(await answer.arrayBuffer()));
});

beforeAll(async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'key');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  s3 = await startStandInS3();
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  front.closeAllConnections();
  front.close();
  await s3.close();
});

function open() {
  const endpoint = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;
  const env = { S3_BUCKET: 'films', S3_ENDPOINT_URL: endpoint, S3_FORCE_PATH_STYLE: 'true' };
  return createS3Store(readConfig(env).store as S3Config, { clock: Date.now });
}

/** Stores a file of a thousand bytes, which at the least rate have ten seconds more. */
function storeOne(store: ReturnType<typeof open>) {
  const origin = { kind: 'path', path: '/main.py' } as const;
  const file = { assetId: 'a', filename: 'main.py', contentType: 'text/plain', s3Key: 'a', size: 1_000, origin };
  const bytes = Buffer.alloc(1_000, 'x');
  return storeFile(
    {
      ports: { store, allowance: { baseMs: BASE_MS, bytesPerSecond: 100 }, openOrigin: async () => pieces(bytes) },
      ...{
        pack: { files: [file, file] },
        run: { lane: 'small', park: new AbortController().signal },
        state: {},
        reporter: { progress: () => undefined },
      },
      signal: new AbortController().signal,
    } as unknown as Parameters<typeof storeFile>[0],
    file as unknown as Parameters<typeof storeFile>[1],
  );
}

it('bytes on their way to the store count before all of a part is there', async () => {
  ready = async () => undefined;
  const store = open();
  await store.check();
  ready = async (method) => void (method === 'PUT' && (await after(BASE_MS * 2)));
  expect(await storeOne(store)).toMatchObject({ size: 1_000 });
  await store.close();
});

it('a store that never answers is away: the file loses no try, and the breaker hears of it', async () => {
  ready = () => new Promise(() => undefined);
  const store = open();
  const counts = new Set(['STORE_UNAVAILABLE']);
  const breaker = createBreaker({ name: 'The store', counts, probe: () => store.check() });
  const puts = Array.from({ length: 5 }, () => storeOne(guard(store, breaker)));
  for (const put of await Promise.allSettled(puts)) {
    expect(put).toMatchObject({ reason: { code: 'STORE_UNAVAILABLE', unavailable: true } });
  }
  expect(breaker.refusal).toBeDefined();
  breaker.close();
  await store.close();
});
