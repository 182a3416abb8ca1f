import { ConvexClient } from 'convex/browser';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { api } from '#convex/_generated/api.js';
import { type CommitLoader, createCommitLoader } from '#metadata/commit-loader.ts';
import { createConvexMetadata } from '#metadata/convex.ts';
import type { AssetCommit, CommitResult, Metadata } from '#metadata/metadata.ts';
import { createStatusOutbox, type StatusOutbox } from '#metadata/status-outbox.ts';
import { someCommit, someFacts, someScene, someUpdate } from './asset-facts.ts';
import { startEngine, type TestEngine } from './engine.ts';
import { startRedis, type TestRedis } from './redis.ts';
import { until } from './until.ts';

describe('the way to a real Convex', () => {
  let engine: TestEngine;
  let server: TestRedis;
  let redis: Redis;
  let metadata: Metadata;
  let outbox: StatusOutbox;
  let mutations: number;

  beforeAll(async () => {
    [engine, server] = await Promise.all([startEngine(), startRedis()]);
    redis = new Redis(server.url);
    const { url, token } = engine;
    metadata = createConvexMetadata({ url, token, onMutation: () => (mutations += 1) });
    outbox = createStatusOutbox({ redis, prefix: 'test', metadata });
    outbox.start();
  });
  beforeEach(() => {
    mutations = 0;
  });
  afterAll(async () => {
    await outbox?.stop();
    redis?.disconnect();
    await Promise.all([engine?.stop(), server?.stop()]);
  });

  /** As callers do: an unknown outcome is repeated. */
  async function commitUntilKnown(loader: CommitLoader, item: AssetCommit): Promise<CommitResult> {
    return until(() => loader.commit(item).catch(() => undefined), { within: 20_000, what: 'an answer to a commit' });
  }

  it('takes 1,000 files of one scene in few mutations', async () => {
    const scene = someScene();
    const loader = createCommitLoader({ metadata });
    const items = Array.from({ length: 1_000 }, (_, at) => someCommit(scene, { acceptedSeq: at + 1 }));
    const results = await Promise.all(items.map((item) => loader.commit(item)));
    await loader.close();
    const versions = results.map((result) => (result.ok ? result.version : 0)).sort((a, b) => a - b);
    expect(versions).toEqual(items.map((_, at) => at + 1));
    expect(mutations).toBeLessThanOrEqual(6);
  });

  it('gives each file one version through a kill of Convex in the midst of commits', async () => {
    const scene = someScene();
    const loader = createCommitLoader({ metadata, maxItems: 10 });
    const items = Array.from({ length: 200 }, (_, at) => someCommit(scene, { acceptedSeq: at + 1 }));
    const first = loader.commit(items[0] ?? someCommit(scene));
    const all = Promise.all(items.map((item) => commitUntilKnown(loader, item)));
    await first;
    await engine.kill();
    await engine.start();
    const versions = (await all).map((result) => (result.ok ? result.version : 0)).sort((a, b) => a - b);
    expect(versions).toEqual(items.map((_, at) => at + 1));
    const { assets } = await metadata.listAssets(scene, { limit: 10 });
    expect(assets.map((asset) => asset.acceptedSeq)).toEqual([200]);
    await loader.close();
  });

  it('delivers statuses that were put while Convex was away', async () => {
    const facts = someFacts(someScene());
    await engine.kill();
    await outbox.put([someUpdate(facts, { progress: 0.5 })]);
    await expect(outbox.flush()).rejects.toMatchObject({ code: 'METADATA_UNAVAILABLE' });
    await engine.start();
    const row = await until(async () => (await metadata.getAssets([facts.assetId]))[0], {
      within: 20_000,
      what: 'the row of the asset',
    });
    expect(row).toMatchObject({ status: 'uploading', progress: 0.5 });
    await until(async () => (await outbox.size()) === 0, { within: 10_000, what: 'the outbox to be empty' });
  });

  it('shows a subscriber uploading, rising progress, ready, never backwards', async () => {
    const scene = someScene();
    await metadata.putMember(scene.project, 'ada', 'viewer');
    const client = new ConvexClient(engine.url, { skipConvexDeploymentUrlCheck: true, logger: false });
    client.setAuth(() => engine.tokenOf('ada'));
    const seen: string[] = [];
    const note = (label: string) => {
      if (seen.at(-1) !== label) seen.push(label);
    };
    client.onUpdate(api.scenes.watch, scene, (value) => {
      const [asset] = value?.assets ?? [];
      note(asset ? `${value?.assetsStatus} ${asset.status} ${asset.progress}` : 'nothing');
    });
    const sees = (label: string) => until(() => seen.at(-1) === label, { within: 10_000, what: `"${label}"` });

    const item = someCommit(scene);
    await sees('nothing');
    await outbox.put([someUpdate(item.facts, { fence: [0, 0, 0], status: 'pending' })]);
    await sees('pending pending 0');
    await outbox.put([someUpdate(item.facts, { fence: [0, 1, 1], progress: 0.25 })]);
    await sees('uploading uploading 0.25');
    await outbox.put([someUpdate(item.facts, { fence: [0, 1, 2], progress: 0.75 })]);
    await sees('uploading uploading 0.75');
    await metadata.commit([item]);
    await outbox.put([someUpdate(item.facts, { fence: [0, 1, 3], progress: 0.8 })]);
    await sees('ready ready 1');
    await until(async () => (await outbox.size()) === 0, { within: 10_000, what: 'the outbox to be empty' });
    await client.close();
    expect(seen).toEqual([
      'nothing',
      'pending pending 0',
      'uploading uploading 0.25',
      'uploading uploading 0.75',
      'ready ready 1',
    ]);
  });
});
