import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { readConfig, type S3Config } from '#config';
import { memoryJournal } from '#test/memory-journal.ts';
import { pieces } from '#test/sources.ts';
import { type StandInS3, startStandInS3 } from '#test/stand-in-s3.ts';
import { createS3Store } from './s3.ts';
import type { PutOptions, Store } from './store.ts';

const KEY = 'a';
const text = { contentType: 'text/plain' };
let s3: StandInS3;
/** The store before which a request of the late worker waits. */
let beforeHead: () => Promise<unknown> = async () => undefined;
const front = createServer(async (request, response) => {
  const body = await buffer(request);
  const { method = '', url = '' } = request;
  if (method === 'HEAD' && url === `/films/${KEY}`) await beforeHead();
  const { host: _host, connection: _connection, ...headers } = request.headers;
  const sent = { method, headers: headers as Record<string, string>, ...(body.length > 0 && { body }) };
  const answer = await fetch(s3.endpoint + url, sent);
  response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(Buffer.from(await answer.arrayBuffer()));
});
let late: Store;
let next: Store;

beforeAll(async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'key');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  s3 = await startStandInS3();
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  const open = (endpoint: string) => {
    const env = { S3_BUCKET: 'films', S3_ENDPOINT_URL: endpoint, S3_FORCE_PATH_STYLE: 'true' };
    return createS3Store(readConfig(env).store as S3Config, { clock: Date.now });
  };
  late = open(`http://127.0.0.1:${(front.address() as AddressInfo).port}`);
  next = open(s3.endpoint);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await Promise.all([late.close(), next.close()]);
  front.closeAllConnections();
  front.close();
  await s3.close();
});

const lost = new Error('lost');
test.each<[string, (lose: AbortController) => Partial<PutOptions>]>([
  ['its journal', () => ({ journal: { ...memoryJournal(), write: () => Promise.reject(lost) } })],
  ['its signal', ({ signal }) => ({ signal })],
])('a worker that lost its job, as %s tells, leaves what the next one stored', async (_, options) => {
  const lose = new AbortController();
  beforeHead = async () => {
    await next.put(KEY, pieces(Buffer.from('the file as it is now')), text);
    lose.abort(lost);
  };
  await expect(late.put(KEY, pieces(Buffer.from('the old file')), { ...text, ...options(lose) })).rejects.toBe(lost);
  expect(await next.head(KEY)).toMatchObject({ size: 21 });
  expect(s3.seen.filter(({ method, path }) => method === 'DELETE' && path === `/films/${KEY}`)).toEqual([]);
  expect(s3.seen.filter(({ headers }) => 'x-amz-copy-source' in headers)).toEqual([]);
});
