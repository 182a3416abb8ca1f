import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createClient } from '#client/node.ts';
import { errorOf } from '#test/error-of.ts';
import { startRgw, type TestRgw } from '#test/rgw.ts';
import { type Stack, startStack } from '#test/stack.ts';
import { until } from '#test/until.ts';
import { type StoreProxy, startProxy } from './proxy.ts';

const PART = 8 * 2 ** 20;
const FILM = randomBytes(8 * PART + 7);
const THERE = 3;
const CLIP = { project: 'demo', session: 's', scene: 'c', assetType: 'video_chunk', filename: 'film.mp4' } as const;

let rgw: TestRgw;
let proxy: StoreProxy;
let stack: Stack;
let dir: string;
/** Whether the store refuses a part that the client puts; answers once it knows. */
let refuses: (nth: number) => Promise<boolean> = async () => false;
let puts = 0;

beforeAll(async () => {
  rgw = await startRgw();
  proxy = await startProxy(rgw.endpoint, async (request, url, response) => {
    if (request.method !== 'PUT' || !url.searchParams.has('X-Amz-Signature')) return false;
    puts += 1;
    if (!(await refuses(puts))) return false;
    // Those that the client gives up break off.
    await request
      .resume()
      .toArray()
      .catch(() => []);
    response.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>');
    return true;
  });
  stack = await startStack({ ...rgw.env, S3_ENDPOINT_URL: proxy.endpoint });
  dir = await mkdtemp(join(tmpdir(), 'reelay-large-'));
}, 180_000);
afterAll(async () => {
  await stack?.remove();
  await proxy?.close();
  await rgw?.stop();
  await rm(dir, { recursive: true, force: true });
});

/** Bytes of the parts that the client put whole by their signed URLs, since the last call: one it gave up may be seen late. */
function partsPut(): number[] {
  const signed = proxy.seen
    .splice(0)
    .filter(({ method, url }) => method === 'PUT' && url.searchParams.has('X-Amz-Signature'));
  return signed.map(({ bytes }) => bytes).filter((bytes) => bytes === PART || bytes === FILM.length % PART);
}

it('goes straight to the store in parts, and on with those that are missing', async () => {
  const path = join(dir, 'film.mp4');
  await writeFile(path, FILM);
  const client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
  let stagingId = '';
  const onStaged = (id: string) => {
    stagingId = id;
  };
  const partsThere = async () => {
    const headers = { authorization: `Bearer ${stack.agentKey}` };
    const staging = await fetch(`${stack.apiUrl}/v1/staging/${stagingId}`, { headers });
    return ((await staging.json()) as { parts?: unknown[] }).parts?.length ?? 0;
  };
  refuses = async (nth) => {
    if (nth <= THERE) return false;
    // The client gives up what is under way beside a part that is refused.
    await until(async () => (await partsThere()) === THERE, { within: 20_000, what: 'the parts before to be there' });
    return true;
  };
  const refused = await errorOf(client.uploadFile({ ...CLIP, path }, { onStaged }));
  expect(refused).toMatchObject({ code: 'STORE_REJECTED', message: expect.stringContaining('403 (AccessDenied)') });
  expect(partsPut()).toEqual(Array(THERE).fill(PART));

  refuses = async () => false;
  const { batchId, jobs } = await client.uploadFile({ ...CLIP, path }, { stagingId });
  expect(partsPut().toSorted()).toEqual([...Array(8 - THERE).fill(PART), 7].toSorted());
  expect(await client.waitForBatch(batchId)).toMatchObject({ failed: [] });
  const checksum = createHash('sha256').update(FILM).digest('hex');
  const asset = await client.getAsset(jobs[0]?.files[0]?.assetId ?? '');
  expect(asset).toMatchObject({ status: 'ready', size: FILM.length, checksum });
});
