import type { Config } from '#config';
import { redisAddress } from '#redis/address.ts';
import { readCertificates } from '#redis/certificates.ts';
import { connectRedis, type RedisConnection, whenConnected } from '#redis/connection.ts';
import { MEMORY_SHARE, redisMemory } from '#redis/memory.ts';
import { asFinding, type Finding, findingsOf } from './config-finding.ts';
import { sizeText } from './output.ts';

const ANSWER_MS = 5_000;
/** The least version that BullMQ recommends; what is tested here is 7. */
const LEAST = [6, 2];
const { ok, warning, error } = findingsOf('redis');

/** Whether Redis answers, keeps what it acknowledges, and has room. */
export async function checkRedis({ redis: { url, shownUrl, tlsCa } }: Config): Promise<Finding[]> {
  let redis: RedisConnection | undefined;
  try {
    const ca = tlsCa === undefined ? undefined : await readCertificates(tlsCa);
    redis = connectRedis(url, 'caller', () => undefined, { ca });
    await whenConnected(redis, ANSWER_MS);
    const info = await infoOf(redis);
    const where = `${redisAddress(url).kind} at ${shownUrl}`;
    const setting = (name: string) => settingOf(redis as RedisConnection, name);
    return [
      version(info.redis_version ?? '?', where),
      policy((await setting('maxmemory-policy')) ?? info.maxmemory_policy),
      durability(info.aof_enabled, await setting('appendfsync')),
      memory(await redisMemory(redis)),
    ];
  } catch (thrown) {
    return [asFinding('redis', thrown, 'Start it, with npm run up for example, or correct REDIS_URL.')];
  } finally {
    redis?.disconnect();
  }
}

function version(text: string, where: string): Finding {
  const [major = 0, minor = 0] = text.split('.').map(Number);
  const [leastMajor = 0, leastMinor = 0] = LEAST;
  const what = `Redis ${text}, ${where}`;
  if (major < leastMajor || (major === leastMajor && minor < leastMinor)) {
    return error(what, `Use ${LEAST.join('.')} or newer; 7 is what Reelay is tested with.`);
  }
  return major < 7 ? warning(what, '7 is what Reelay is tested with.') : ok(what);
}

function policy(found: string | undefined): Finding {
  const what = `maxmemory-policy ${found ?? 'unknown'}`;
  return found === 'noeviction' ? ok(what) : error(what, 'Set maxmemory-policy noeviction: any other may drop jobs.');
}

function durability(aof: string | undefined, fsync: string | undefined): Finding {
  if (aof !== '1')
    return error('appendonly no', 'Set appendonly yes and appendfsync always: a crash loses accepted work.');
  if (fsync === undefined) return warning('appendfsync unknown', 'Have whoever runs it set appendfsync always.');
  if (fsync === 'always') return ok('appendfsync always');
  return warning(`appendfsync ${fsync}`, 'Set appendfsync always: a crash loses a second of accepted work, or more.');
}

function memory({ used, max, share }: Awaited<ReturnType<typeof redisMemory>>): Finding {
  if (max === 0) return warning(`memory ${sizeText(used)}, no maximum`, 'Set maxmemory to what the machine can spare.');
  const what = `memory ${sizeText(used)} of ${sizeText(max)}`;
  return share < MEMORY_SHARE
    ? ok(what)
    : error(what, 'Raise maxmemory, or let work be done: from 80 % on uploads are refused.');
}

/** The fields of INFO, of the first master of a Cluster. */
async function infoOf(redis: RedisConnection): Promise<Partial<Record<string, string>>> {
  const server = redis.isCluster && 'nodes' in redis ? redis.nodes('master')[0] : redis;
  const text = (await server?.info()) ?? '';
  return Object.fromEntries(Array.from(text.matchAll(/^(\w+):(.*?)\r?$/gm), ([, name, value]) => [name, value]));
}

/** A setting, undefined where a managed Redis keeps it to itself. */
async function settingOf(redis: RedisConnection, name: string): Promise<string | undefined> {
  const answer: unknown = await redis.config('GET', name).catch(() => undefined);
  return Array.isArray(answer) ? String(answer[1]) : undefined;
}
