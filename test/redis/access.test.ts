import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createClient } from '#client/client.ts';
import { readCertificates } from '#redis/certificates.ts';
import { connectRedis, whenConnected } from '#redis/connection.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { startStack } from '#test/stack.ts';
import { makeCertificates, type TestCertificates, tlsSettings } from './certificates.ts';
import { startCluster } from './cluster.ts';
import { RIGHTS } from './rights.ts';
import { startSentinels } from './sentinels.ts';

/** Resolves when Redis lets us in, and rejects with why not. */
async function enter(url: string, ca?: string): Promise<void> {
  const redis = connectRedis(url, 'caller', () => undefined, { ca });
  try {
    await whenConnected(redis, 10_000);
    await redis.ping();
  } finally {
    redis.disconnect();
  }
}

describe('over TLS', () => {
  let dir: string;
  let server: TestCertificates;
  let redis: TestRedis;
  let url: string;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'reelay-tls-'));
    server = await makeCertificates(dir, 'IP:127.0.0.1');
    redis = await startRedis((port) => tlsSettings(server, port));
    url = redis.url.replace('redis:', 'rediss:');
  });
  afterAll(async () => {
    await redis?.stop();
    await rm(dir, { recursive: true });
  });

  it('Redis is trusted by its CA, given as a file or as text', async () => {
    await enter(url, await readCertificates(server.ca));
    await enter(url, await readCertificates(server.caText));
  });

  it('Redis is not trusted without its CA, nor with another one', async () => {
    const strange = await mkdtemp(join(dir, 'strange-'));
    const other = await makeCertificates(strange, 'IP:127.0.0.1');
    const untrusted = { code: 'QUEUE_UNAVAILABLE', message: expect.stringContaining('REDIS_TLS_CA') };
    await expect(enter(url)).rejects.toMatchObject(untrusted);
    await expect(enter(url, other.caText)).rejects.toMatchObject(untrusted);
  });

  it('Redis is not trusted under a name that its certificate has not', async () => {
    const named = url.replace('127.0.0.1', 'localhost');
    await expect(enter(named, server.caText)).rejects.toThrow(/not trusted: Hostname\/IP does not match/);
  });

  it('every node of a Cluster is trusted by its CA, and none without', async () => {
    const cluster = await startCluster(server);
    onTestFinished(() => cluster.stop());
    const reader = connectRedis(cluster.url, 'caller', () => undefined, { ca: server.caText });
    onTestFinished(() => reader.disconnect());
    await whenConnected(reader, 10_000);
    const keys = Array.from({ length: 30 }, (_, index) => `key-${index}`);
    await Promise.all(keys.map((key) => reader.set(key, key)));
    expect(await Promise.all(keys.map((key) => reader.get(key)))).toEqual(keys);
    await expect(enter(cluster.url)).rejects.toThrow('REDIS_TLS_CA');
  }, 90_000);

  it('a CA that is none is named as a mistake', async () => {
    await expect(readCertificates('/nowhere/ca.pem')).rejects.toThrow('REDIS_TLS_CA is neither');
    await expect(readCertificates(server.key)).rejects.toThrow('REDIS_TLS_CA holds no certificate');
  });
});

describe('a login', () => {
  let redis: TestRedis;
  const as = (login: string, path = '') => redis.url.replace('://', `://${login}@`) + path;

  beforeAll(async () => {
    redis = await startRedis({ requirepass: 'the-default-one', user: `reelay on >the-own-one ${RIGHTS}` });
  });
  afterAll(() => redis?.stop());

  it('is taken by user and password, or by the password alone', async () => {
    await enter(as('reelay:the-own-one'));
    await enter(as(':the-default-one'));
  });

  it.each([
    ['a wrong password', 'reelay:SECRET'],
    ['an unknown user', 'nobody:SECRET'],
    ['a wrong password alone', ':SECRET'],
  ])('with %s is refused in a sentence without it', async (_, login) => {
    const refusal = await enter(as(login)).catch((error: Error) => error);
    expect(refusal).toMatchObject({ code: 'QUEUE_UNAVAILABLE', message: expect.stringContaining('REDIS_URL') });
    expect(String(refusal)).not.toContain('SECRET');
  });

  it('is one for the servers and another for their Sentinels', async () => {
    const sentinels = await startSentinels({ server: 'of-servers', sentinel: 'of-sentinels' });
    onTestFinished(() => sentinels.stop());
    await enter(sentinels.url);
    await expect(enter(sentinels.url.replace(':of-servers', ':SECRET'))).rejects.toThrow('Redis refuses the login');
    const silent = enter(sentinels.url.replace('=of-sentinels', '=SECRET'));
    await expect(silent).rejects.toThrow(/All sentinels are unreachable.*WRONGPASS|Redis refuses the login/);
  });

  it('to a database that is not there is refused', async () => {
    await expect(enter(as(':the-default-one', '/99'))).rejects.toThrow('Redis has no such database');
  });

  it('with the rights of docs/redis.md is enough for an upload, to its end', async () => {
    const stack = await startStack({ REDIS_URL: as('reelay:the-own-one') });
    onTestFinished(() => stack.remove());
    const client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
    const file = {
      assetType: 'source_code' as const,
      filename: 'a.py',
      origin: { kind: 'inline' as const, text: '1' },
    };
    const scene = { project: 'demo', session: 's', scene: 'c' };
    const { batchId } = await client.uploadFiles({ ...scene, files: [file] });
    const batch = await client.waitForBatch(batchId);
    expect(batch.successful).toHaveLength(1);
    await client.getAssetUrl(batch.successful[0] ?? '');
    expect(await denied(as(':the-default-one'))).toEqual([]);
  }, 120_000);
});

/** What the user was denied, as Redis remembers it. */
async function denied(url: string): Promise<unknown[]> {
  const admin = connectRedis(url, 'caller', () => undefined);
  await whenConnected(admin, 10_000);
  try {
    const entries = (await admin.call('ACL', 'LOG')) as unknown[][];
    return entries.map((entry) => entry.join(' ')).filter((entry) => !entry.includes('reason auth'));
  } finally {
    admin.disconnect();
  }
}
