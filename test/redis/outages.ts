import { until } from '#test/until.ts';
import type { TestCluster } from './cluster.ts';
import type { TestSentinels } from './sentinels.ts';
import type { Outage } from './uploads.ts';

const SMALL_LANE = '{reelay:small}';
const WITHIN = { within: 60_000, every: 50 };

/**
 * kill -9 of the master that has lane `small`. Once its replica has taken over it is started again, as its supervisor
 * would: until then the new master has no replica, and takes nothing that must be on two.
 */
export function killedMaster(cluster: TestCluster): Outage {
  return {
    url: cluster.url,
    minReplicas: 1,
    async happen() {
      const master = await cluster.masterOf(SMALL_LANE);
      await master.kill();
      await until(async () => (await cluster.masterOf(SMALL_LANE).catch(() => master)) !== master, {
        ...WITHIN,
        what: 'the replica to take over',
      });
      await master.start();
    },
  };
}

/** kill -9 of the master that Sentinels watch; one replica takes over, the other one follows it. */
export function switchedMaster(sentinels: TestSentinels): Outage {
  return {
    url: sentinels.url,
    minReplicas: 1,
    async happen() {
      const master = await sentinels.master();
      await master.kill();
      await until(async () => (await sentinels.master()) !== master, { ...WITHIN, what: 'the Sentinels to switch' });
    },
  };
}
