import { describe, expect, it, onTestFinished } from 'vitest';
import { startCluster } from './cluster.ts';
import { killedMaster, switchedMaster } from './outages.ts';
import { startSentinels } from './sentinels.ts';
import { uploadThrough } from './uploads.ts';

/** `npm run accept failover` does the same with 1,000. */
const UPLOADS = 200;
const allOnce = {
  acknowledged: UPLOADS,
  done: UPLOADS,
  rows: UPLOADS,
  versions: UPLOADS,
  lastVersion: UPLOADS,
};

describe('uploads while the master of the queue is killed', { timeout: 300_000 }, () => {
  it('all end ready, none twice, on a Cluster', async () => {
    const cluster = await startCluster();
    onTestFinished(() => cluster.stop());
    const outcome = await uploadThrough(killedMaster(cluster), UPLOADS);
    expect(outcome).toMatchObject(allOnce);
    expect(outcome.refused).toBeGreaterThan(0);
  });

  it('all end ready, none twice, behind Sentinels', async () => {
    const sentinels = await startSentinels();
    onTestFinished(() => sentinels.stop());
    const outcome = await uploadThrough(switchedMaster(sentinels), UPLOADS);
    expect(outcome).toMatchObject(allOnce);
    expect(outcome.refused).toBeGreaterThan(0);
  });
});
