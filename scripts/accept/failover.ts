import { startCluster } from '#test/redis/cluster.ts';
import { killedMaster, switchedMaster } from '#test/redis/outages.ts';
import { startSentinels } from '#test/redis/sentinels.ts';
import { type Outage, uploadThrough } from '#test/redis/uploads.ts';
import { type Chapter, equal, type Figure } from './figures.ts';

const UPLOADS = 1_000;

/** 1,000 uploads, in the midst of which the master that has their queue is killed: in a Cluster, and behind Sentinels. */
export const failover: Chapter = {
  name: 'failover',
  command: '1,000 × POST /v1/uploads with REDIS_MIN_REPLICAS=1; kill -9 of the master after a third',
  async run() {
    const cluster = await startCluster();
    const inCluster = await figures('Cluster', killedMaster(cluster)).finally(() => cluster.stop());
    const sentinels = await startSentinels();
    const behindSentinels = await figures('Sentinel', switchedMaster(sentinels)).finally(() => sentinels.stop());
    return [...inCluster, ...behindSentinels];
  },
};

async function figures(name: string, outage: Outage): Promise<Figure[]> {
  const outcome = await uploadThrough(outage, UPLOADS);
  const seconds = (outcome.longestGap / 1_000).toFixed(1);
  return [
    equal(`${name}: uploads that ended ready`, outcome.done, UPLOADS),
    equal(`${name}: rows of assets`, outcome.rows, UPLOADS),
    equal(`${name}: different versions`, outcome.versions, UPLOADS),
    equal(`${name}: commits of the scene, by its last version`, outcome.lastVersion, UPLOADS),
    {
      what: `${name}: requests refused and sent again`,
      figure: String(outcome.refused),
      goal: '> 0',
      met: outcome.refused > 0,
    },
    { what: `${name}: longest time without an acknowledgement`, figure: `${seconds} s`, goal: '(none)', met: true },
  ];
}
