import { afterEach, describe, expect, it } from 'vitest';
import { someCommit, someScene } from '#test/asset-facts.ts';
import { type ConvexEdge, type EdgeAnswer, startConvexEdge } from '#test/convex-edge.ts';
import { type CommitLoaderOptions, createCommitLoader } from './commit-loader.ts';
import { createConvexMetadata } from './convex.ts';
import type { AssetCommit } from './metadata.ts';

describe('the commit loader', () => {
  let edge: ConvexEdge | undefined;
  afterEach(() => edge?.close());

  type Answer = (items: readonly AssetCommit[]) => EdgeAnswer | Promise<EdgeAnswer>;

  async function open(answer: Answer, options: Partial<CommitLoaderOptions> = {}) {
    edge = await startConvexEdge(({ args }) => answer(args.items as AssetCommit[]));
    const metadata = createConvexMetadata({ url: edge.url, token: async () => 't', mutationTimeoutMs: 5_000 });
    return createCommitLoader({ metadata, ...options });
  }

  /** What the functions answer when all is well. */
  const ready = (items: readonly AssetCommit[]): EdgeAnswer => ({
    value: items.map(({ facts }) => ({ assetId: facts.assetId, ok: true, version: 1, current: true })),
  });
  const files = (count: number) => Array.from({ length: count }, () => someCommit(someScene()));
  const sizes = () => edge?.calls.map(({ args }) => (args.items as unknown[]).length) ?? [];
  const sorted = () => sizes().toSorted((a, b) => b - a);

  it('puts files that come together into one mutation and gives each its own result', async () => {
    const flushes: number[] = [];
    const loader = await open(ready, { onFlush: ({ items }) => flushes.push(items) });
    const items = files(50);
    const results = await Promise.all(items.map((item) => loader.commit(item)));
    expect(results.map((result) => result.assetId)).toEqual(items.map((item) => item.facts.assetId));
    expect(sizes()).toEqual([50]);
    expect(flushes).toEqual([50]);
  });

  it('flushes at its number of files and at its bytes', async () => {
    const loader = await open(ready, { maxItems: 4 });
    await Promise.all(files(10).map((item) => loader.commit(item)));
    expect(sorted()).toEqual([4, 4, 2]);
    await edge?.close();

    const [sample] = files(1);
    const byBytes = await open(ready, { maxBytes: Buffer.byteLength(JSON.stringify(sample)) * 3 });
    await Promise.all(files(7).map((item) => byBytes.commit(item)));
    expect(sorted()).toEqual([3, 3, 1]);
  });

  it('has several mutations under way, and no more than allowed; the rest gathers meanwhile', async () => {
    let running = 0;
    let most = 0;
    edge = await startConvexEdge(({ args }) => ready(args.items as AssetCommit[]));
    const metadata = createConvexMetadata({ url: edge.url, token: async () => 't' });
    const counted = (items: readonly AssetCommit[]) => {
      running += 1;
      most = Math.max(most, running);
      return metadata.commit(items).finally(() => {
        running -= 1;
      });
    };
    const loader = createCommitLoader({ metadata: { commit: counted }, maxItems: 5, maxInFlight: 2 });
    await Promise.all(files(23).map((item) => loader.commit(item)));
    expect(most).toBe(2);
    expect(sorted()).toEqual([5, 5, 5, 5, 3]);
  });

  it.each([
    ['refused', 'ArgumentValidationError', 'METADATA_REJECTED'],
    ['failed', 'Server Error', 'METADATA_FAILED'],
  ])('halves a mutation %s as a whole until the culprit stands alone', async (_, refuse, code) => {
    const items = files(16);
    const culprit = items[5]?.facts.assetId;
    const loader = await open((sent) =>
      sent.some(({ facts }) => facts.assetId === culprit) ? { refuse } : ready(sent),
    );
    const results = await Promise.all(items.map((item) => loader.commit(item)));
    const refused = results.filter((result) => !result.ok);
    expect(refused).toMatchObject([{ assetId: culprit, error: { code } }]);
    expect(results).toHaveLength(16);
    expect(sizes()).toEqual([16, 8, 4, 4, 2, 1, 1, 2, 8]);
  });

  it('tells all that wait when Convex is away, and goes on when it is back', async () => {
    let away = true;
    const loader = await open((items) => (away ? { status: 503 } : ready(items)));
    const items = files(3);
    const ends = await Promise.allSettled(items.map((item) => loader.commit(item)));
    expect(ends.map((end) => end.status === 'rejected' && end.reason.code)).toEqual(
      items.map(() => 'METADATA_UNAVAILABLE'),
    );
    away = false;
    expect(await Promise.all(items.map((item) => loader.commit(item)))).toMatchObject(items.map(() => ({ ok: true })));
  });

  it('sends what waits before it closes, and takes nothing more', async () => {
    const loader = await open(ready, { waitMs: 60_000 });
    const waiting = files(3).map((item) => loader.commit(item));
    await loader.close();
    expect(await Promise.all(waiting)).toMatchObject([{ ok: true }, { ok: true }, { ok: true }]);
    await expect(loader.commit(someCommit(someScene()))).rejects.toMatchObject({ code: 'METADATA_UNAVAILABLE' });
  });
});
