import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { freePort } from '#test/free-port.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { until } from '#test/until.ts';
import { type TestCertificates, tlsSettings } from './certificates.ts';

const run = promisify(execFile);

/** A real Cluster of one test's own: three masters, a replica each. */
export interface TestCluster {
  /** For `REDIS_URL`. */
  readonly url: string;
  readonly nodes: readonly TestRedis[];
  /** The master that has the slot of `key` now. */
  masterOf(key: string): Promise<TestRedis>;
  /** Resolves when every node knows a master for every slot, and every master has a replica. */
  whole(): Promise<void>;
  stop(): Promise<void>;
}

/** A master that is silent for this long is taken for dead, in milliseconds. */
const NODE_TIMEOUT = 2_000;
const WITHIN = { within: 60_000, every: 100 };

/** With `tls` its nodes speak TLS alone, with one another too. */
export async function startCluster(tls?: TestCertificates): Promise<TestCluster> {
  const nodes = await Promise.all(Array.from({ length: 6 }, () => startNode(tls)));
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  const whole = () => Promise.all(nodes.map((node) => isWhole(node, nodes.length, tls))).then(() => undefined);
  try {
    const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
    const secure = tls ? ['--tls', '--cacert', tls.ca] : [];
    await run('redis-cli', [
      ...secure,
      '--cluster',
      'create',
      ...addresses,
      '--cluster-replicas',
      '1',
      '--cluster-yes',
    ]);
    await whole();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: `${tls ? 'rediss' : 'redis'}+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    nodes,
    async masterOf(key) {
      const [answer] = await Promise.any(nodes.map((node) => slotOwner(node, key, tls)));
      const found = nodes.find(({ port }) => port === answer);
      if (!found) throw new Error(`No node of the Cluster has the slot of ${key}.`);
      return found;
    },
    whole,
    stop,
  };
}

async function startNode(tls: TestCertificates | undefined): Promise<TestRedis> {
  const busPort = await freePort();
  return startRedis((port) => ({
    ...(tls && { ...tlsSettings(tls, port), 'tls-cluster': 'yes', 'tls-replication': 'yes' }),
    'cluster-enabled': 'yes',
    'cluster-config-file': 'nodes.conf',
    'cluster-node-timeout': String(NODE_TIMEOUT),
    'cluster-port': String(busPort),
    // A link that a test cuts comes back at once.
    'repl-backlog-size': '16mb',
    'repl-diskless-sync-delay': '0',
  }));
}

/** What the node says of the Cluster; undefined while it does not answer. */
async function ask<T>(
  { port }: TestRedis,
  tls: TestCertificates | undefined,
  question: (redis: Redis) => Promise<T>,
): Promise<T> {
  const redis = new Redis(port, '127.0.0.1', {
    ...(tls && { tls: { ca: tls.caText } }),
    lazyConnect: true,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
  });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

function isWhole(node: TestRedis, count: number, tls: TestCertificates | undefined): Promise<boolean> {
  const answer = async () => {
    const [info, list] = await ask(node, tls, (redis) =>
      Promise.all([redis.cluster('INFO'), redis.call('CLUSTER', 'NODES')]),
    );
    const known = String(list).trim().split('\n');
    const masters = known.filter((line) => / (?:myself,)?master /.test(line)).map((line) => line.split(' ')[0]);
    const followed = new Set(known.filter((line) => /slave /.test(line)).map((line) => line.split(' ')[3]));
    const up = known.every((line) => !/fail|handshake|noaddr/.test(line.split(' ')[2] ?? ''));
    const replication = await ask(node, tls, (redis) => redis.info('replication'));
    const linked = replication.includes('role:master')
      ? /connected_slaves:[1-9]/.test(replication) && /state=online/.test(replication)
      : replication.includes('master_link_status:up');
    return (
      info.includes('cluster_state:ok') &&
      known.length === count &&
      masters.length === 3 &&
      masters.every((id) => id !== undefined && followed.has(id)) &&
      up &&
      linked
    );
  };
  return until(() => answer().catch(() => false), { ...WITHIN, what: `node ${node.port} to see the whole Cluster` });
}

async function slotOwner(node: TestRedis, key: string, tls: TestCertificates | undefined): Promise<[port: number]> {
  return ask(node, tls, async (redis) => {
    const slot = await redis.cluster('KEYSLOT', key);
    const ranges = await redis.cluster('SLOTS');
    const [, , master] = ranges.find(([from, to]) => slot >= from && slot <= to) ?? [];
    if (!master) throw new Error(`No node has slot ${slot}.`);
    return [master[1]];
  });
}
