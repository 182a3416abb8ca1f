import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Accepted, Asset, Batch } from '#answers';
import { type Stack, startStack } from '#test/stack.ts';
import { until } from '#test/until.ts';

/** More than the small lane takes of a file whose size nobody knows. */
const FILM = randomBytes(17 * 2 ** 20);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

let stack: Stack;
let server: Server;
let origin: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://origin');
    if (pathname === '/film') response.end(FILM);
    else if (pathname === '/chunked') response.write(FILM, () => response.end());
    else if (pathname === '/moved') response.writeHead(302, { location: '/film' }).end();
    else if (pathname === '/away') response.writeHead(302, { location: 'http://169.254.169.254/latest/' }).end();
    else if (pathname === '/huge') response.writeHead(200, { 'content-length': FILM.length + 1 }).write('x');
    else response.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  origin = `http://127.0.0.1:${port}`;
  stack = await startStack({
    URL_ORIGIN_PORTS: String(port),
    URL_ORIGIN_ALLOW_CIDRS: '127.0.0.1/32',
    URL_ORIGIN_MAX_BYTES: String(FILM.length),
  });
});
afterAll(async () => {
  await stack.remove();
  server.closeAllConnections();
  server.close();
});

const headers = () => ({ authorization: `Bearer ${stack.agentKey}`, 'content-type': 'application/json' });
const get = async <T>(path: string) => (await (await fetch(stack.apiUrl + path, { headers: headers() })).json()) as T;

async function post(files: readonly object[]): Promise<Accepted> {
  const body = JSON.stringify({ project: 'demo', session: 's-url', scene: 'a', files });
  const response = await fetch(`${stack.apiUrl}/v1/uploads`, { method: 'POST', headers: headers(), body });
  expect(response.status).toBe(202);
  return (await response.json()) as Accepted;
}

/** The batch once each of its files came to its end. */
async function ended({ batchId }: Accepted): Promise<Batch> {
  return until(
    async () => {
      const batch = await get<Batch>(`/v1/batches/${batchId}`);
      return batch.state === 'done' && batch;
    },
    { within: 25_000, what: `batch ${batchId} to be done` },
  );
}

const file = (path: string, own: object = {}) => ({
  assetType: 'video_chunk',
  filename: `${path.slice(1)}.mp4`,
  origin: { kind: 'url', url: `${origin}${path}?signature=s3cr3t` },
  ...own,
});

describe('files behind URLs', () => {
  it('become ready, of a known size or not, redirected or not', async () => {
    const known = { size: FILM.length, checksum: sha256(FILM) };
    const { successful, failed } = await ended(await post([file('/film', known), file('/chunked'), file('/moved')]));
    expect(failed).toEqual([]);
    expect(successful).toHaveLength(3);
    for (const assetId of successful) {
      expect(await get<Asset>(`/v1/assets/${assetId}`)).toMatchObject({
        status: 'ready',
        checksum: sha256(FILM),
      });
    }
  });

  it('fail each with its code, in words that show no query', async () => {
    const wrong = [
      ['/nothing', {}, 'ORIGIN_NOT_FOUND'],
      ['/away', {}, 'URL_NOT_ALLOWED'],
      ['/huge', {}, 'TOO_LARGE'],
      ['/film', { size: FILM.length - 1 }, 'SIZE_MISMATCH'],
      ['/film', { checksum: '0'.repeat(64) }, 'CHECKSUM_MISMATCH'],
    ] as const;
    const { failed } = await ended(await post(wrong.map(([path, own]) => file(path, own))));
    expect(failed.map(({ error }) => error.code).toSorted()).toEqual(wrong.map(([, , code]) => code).toSorted());
    expect(JSON.stringify(failed)).not.toContain('s3cr3t');
  });
});
