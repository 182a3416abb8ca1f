import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type ReelayClient } from '#client/client.ts';
import { startRgw, type TestRgw } from '#test/rgw.ts';
import { type Stack, startStack } from '#test/stack.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const SCENE = { project: 'demo', session: 's3', scene: 's3' };

let rgw: TestRgw;
let stack: Stack;
let client: ReelayClient;

beforeAll(async () => {
  rgw = await startRgw();
  stack = await startStack(rgw.env);
  client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
}, 180_000);
afterAll(async () => {
  await stack?.remove();
  await rgw?.stop();
});

describe('the main path on a real S3', () => {
  it.each([
    ['one part', 10_000],
    ['several parts', 20 * 1024 * 1024],
  ])('brings a file of %s to a URL of the store itself', async (_, size) => {
    const bytes = randomBytes(size);
    const { batchId, jobs } = await client.uploadFile({
      ...SCENE,
      assetType: 'video_chunk',
      filename: 'clip.mp4',
      bytes,
    });
    expect(await client.waitForBatch(batchId)).toMatchObject({ failed: [] });
    const assetId = jobs[0]?.files[0]?.assetId ?? '';
    expect(await client.getAsset(assetId)).toMatchObject({ status: 'ready', size, checksum: sha256(bytes) });

    const { url } = await client.getAssetUrl(assetId);
    expect(url.startsWith(rgw.endpoint)).toBe(true);
    const answer = await fetch(url);
    expect(answer.headers.get('content-type')).toBe('video/mp4');
    expect(sha256(new Uint8Array(await answer.arrayBuffer()))).toBe(sha256(bytes));
    expect((await fetch(url.replace(/Signature=\w{4}/, 'Signature=0000'))).status).toBe(403);
  });

  it('commits many small files of one request', async () => {
    const files = Array.from({ length: 200 }, (_, index) => ({
      assetType: 'source_code' as const,
      filename: `part-${index}.py`,
      origin: { kind: 'inline' as const, base64: randomBytes(1_000).toString('base64') },
    }));
    const { batchId } = await client.uploadFiles({ ...SCENE, files });
    expect((await client.waitForBatch(batchId)).successful).toHaveLength(200);
  });

  it('names the download of source code after its scene and version', async () => {
    const { batchId, jobs } = await client.uploadFile({
      ...SCENE,
      scene: 'names',
      assetType: 'source_code',
      filename: 'main.py',
      bytes: Buffer.from('pass'),
    });
    await client.waitForBatch(batchId);
    const { url } = await client.getAssetUrl(jobs[0]?.files[0]?.assetId ?? '', { download: true });
    expect((await fetch(url)).headers.get('content-disposition')).toContain('names_v1.py');
  });
});
