import { createHash, randomBytes } from 'node:crypto';
import { ConvexHttpClient } from 'convex/browser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type NodeClient } from '#client/node.ts';
import { api } from '#convex/_generated/api.js';
import { type DrippingOrigin, startDrippingOrigin } from '#test/dripping-origin.ts';
import { commitMutations } from '#test/figures.ts';
import { followScene } from '#test/follow-scene.ts';
import { lastAcceptedIsCurrent } from '#test/race.ts';
import { type Stack, startStack } from '#test/stack.ts';
import { until } from '#test/until.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const SCENE = { project: 'demo', session: 's1', scene: 'demo' };

let stack: Stack;
let origin: DrippingOrigin;
let client: NodeClient;

beforeAll(async () => {
  origin = await startDrippingOrigin();
  stack = await startStack(origin.env);
  client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
});
afterAll(async () => {
  await stack.remove();
  await origin.close();
});

const ready = (assetId: string) =>
  until(async () => (await client.getAsset(assetId)).status === 'ready', {
    within: 20_000,
    what: `${assetId} to be ready`,
  });

describe('one file', () => {
  it('is posted, becomes ready, and its URL gives the same bytes', async () => {
    const bytes = randomBytes(300_000);
    const { jobs } = await client.uploadFile({ ...SCENE, assetType: 'video_chunk', filename: 'clip.mp4', bytes });
    const assetId = jobs[0]?.files[0]?.assetId ?? '';
    await ready(assetId);

    const asset = await client.getAsset(assetId);
    expect(asset).toMatchObject({
      version: 1,
      current: true,
      size: bytes.length,
      checksum: sha256(bytes),
      contentType: 'video/mp4',
    });
    const answer = await fetch(`${stack.apiUrl}/v1/assets/${assetId}/url?redirect=1`, {
      headers: { authorization: `Bearer ${stack.agentKey}` },
    });
    expect(sha256(new Uint8Array(await answer.arrayBuffer()))).toBe(sha256(bytes));
  });

  it('survives a stop and a start', async () => {
    const bytes = randomBytes(1_000);
    const { jobs, batchId } = await client.uploadFile({
      ...SCENE,
      assetType: 'thumbnail',
      filename: 'thumb.png',
      bytes,
    });
    const assetId = jobs[0]?.files[0]?.assetId ?? '';
    await ready(assetId);
    await stack.stop();
    await stack.start();
    expect(await client.getAsset(assetId)).toMatchObject({ status: 'ready', checksum: sha256(bytes) });
    expect(await client.getBatch(batchId)).toMatchObject({ state: 'done', successful: [assetId] });
  });
});

describe('the batch of an upload', () => {
  it('is shown to a member in Convex, from its acceptance to its end', async () => {
    const { batchId } = await client.uploadFile({
      ...SCENE,
      assetType: 'subtitle',
      filename: 'en.vtt',
      bytes: Buffer.from('WEBVTT'),
    });
    const convex = new ConvexHttpClient(stack.convexUrl);
    convex.setAuth(stack.viewerToken);
    const watch = () => convex.query(api.batches.watch, { batchId });
    const done = async () => {
      const batch = await watch();
      return batch?.state === 'done' ? batch : undefined;
    };
    const batch = await until(done, { within: 10_000, what: 'the batch to be done in Convex' });
    expect(batch).toMatchObject({ project: 'demo', total: 1, ready: 1, failed: 0 });
  });
});

describe('1,000 files of 10 KB in one request', () => {
  it('travel in at most 25 packs and 40 commits, and all become ready', async () => {
    const before = await commitMutations(stack);
    const files = Array.from({ length: 1_000 }, (_, index) => ({
      assetType: 'source_code' as const,
      filename: `part-${index}.py`,
      origin: { kind: 'inline' as const, base64: randomBytes(10_000).toString('base64') },
    }));
    const accepted = await client.uploadFiles({ project: 'demo', session: 'bulk', scene: 'bulk', files });
    const batch = await client.waitForBatch(accepted.batchId);
    expect(batch).toMatchObject({ total: 1_000, failed: [] });
    expect(batch.successful).toHaveLength(1_000);
    expect(accepted.jobs.length).toBeLessThanOrEqual(25);
    expect((await commitMutations(stack)) - before).toBeLessThanOrEqual(40);
  });
});

describe('20 clients that race to upload one asset type of one scene', () => {
  it('get versions 1 to 20, each once, and the one accepted last is current, also after a kill of everything', async () => {
    const entity = { project: 'demo', session: 'race', scene: 'race' };
    const accepted = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        client.uploadFile({
          ...entity,
          assetType: 'source_code',
          filename: `v${index}.py`,
          bytes: randomBytes(100 + index),
        }),
      ),
    );
    await Promise.all(accepted.map(({ batchId }) => client.waitForBatch(batchId)));
    const versions = async () => {
      const { assets } = await client.listAssets(entity, { assetType: 'source_code', history: true, limit: 100 });
      return assets.map(({ assetId, version, current }) => ({ assetId, version, current }));
    };
    const before = await versions();
    expect(before.map(({ version }) => version)).toEqual(Array.from({ length: 20 }, (_, index) => 20 - index));
    expect(before.filter(({ current }) => current)).toHaveLength(1);
    expect(await lastAcceptedIsCurrent(stack, entity, 'source_code')).toBe(true);

    const parts = ['redis', 'convex', 'api', 'worker'] as const;
    const pids = await Promise.all(parts.map((part) => stack.pid(part)));
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await until(
      async () => {
        const now = await Promise.all(parts.map((part) => stack.pid(part)));
        return (
          now.every((pid, index) => pid > 0 && pid !== pids[index]) && (await fetch(`${stack.apiUrl}/health/ready`)).ok
        );
      },
      { within: 60_000, what: 'all four processes to be started again' },
    );
    expect(await versions()).toEqual(before);
  });
});

describe('a subscriber to the scene', () => {
  it('sees uploading, rising progress, ready, and never anything older', async () => {
    const scene = { project: 'demo', session: 'watched', scene: 'watched' };
    const watcher = await followScene(stack, scene);
    const file = { assetType: 'video_chunk', filename: 'film.mp4', ...origin.film } as const;
    const { batchId } = await client.uploadFiles({ ...scene, files: [file] });
    const uploading = () => watcher.shown.filter(({ status }) => status === 'uploading');
    const progresses = () => new Set(uploading().map(({ progress }) => progress)).size;
    await until(() => progresses() >= 3, { within: 20_000, what: 'the subscriber to see it get on' });
    origin.pour();
    await client.waitForBatch(batchId);
    const seen = await watcher.untilReady();
    expect(seen.at(-1)?.status).toBe('ready');
    expect(seen.map(({ progress }) => progress)).toEqual(
      seen.map(({ progress }) => progress).toSorted((a, b) => a - b),
    );
  });
});
