import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { generateSigningKey } from '#metadata/service-token.ts';
import { startEngine, type TestEngine } from '#test/engine.ts';
import { freePort } from '#test/free-port.ts';
import { startRedis, type TestRedis } from '#test/redis.ts';
import { type SpawnedCli, spawnedCli } from '#test/spawned-cli.ts';
import { startStandInS3 } from '#test/stand-in-s3.ts';
import type { Finding } from './config-finding.ts';

let cli: SpawnedCli;
let redis: TestRedis;
let engine: TestEngine;
let dir: string;
let env: Record<string, string>;

beforeAll(async () => {
  [cli, redis, engine, dir] = await Promise.all([
    spawnedCli(),
    startRedis(),
    startEngine(),
    mkdtemp(join(tmpdir(), 'reelay-check-')),
  ]);
  env = {
    REELAY_DATA: dir,
    REDIS_URL: redis.url,
    CONVEX_URL: engine.url,
    REELAY_SIGNING_KEY: engine.signingKey,
    PORT: String(await freePort()),
    METRICS_PORT: String(await freePort()),
  };
});
afterAll(async () => {
  await Promise.all([cli.close(), redis.stop(), engine.stop()]);
  await rm(dir, { recursive: true });
});

async function check(changes: Record<string, string> = {}) {
  const { code, stdout } = await cli.reelay(['config', 'check', '--json'], { ...env, ...changes });
  const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: Finding[] };
  return { code, ok, findings, about: (words: RegExp) => findings.find(({ what }) => words.test(what)) };
}

test('says of each part that it can be worked with', async () => {
  const { code, ok, findings } = await check();
  expect([code, ok]).toEqual([0, true]);
  expect(findings.map(({ part, state, what }) => `${part} ${state}: ${what}`)).toEqual([
    expect.stringMatching(/^redis ok: Redis 7\.\d+\.\d+, standalone at redis:/),
    'redis ok: maxmemory-policy noeviction',
    'redis ok: appendfsync always',
    expect.stringMatching(/^redis warning: memory .* no maximum$/),
    `convex ok: Convex answers at ${engine.url}`,
    expect.stringMatching(/^convex ok: functions of version \d/),
    'convex ok: takes tokens of the signing key',
    expect.stringMatching(/^store ok: disk at .* free, no Object Lock$/),
    `ports ok: PORT ${env.PORT} is free`,
    `ports ok: METRICS_PORT ${env.METRICS_PORT} is free`,
  ]);
});

test('prints a table with what to do', async () => {
  const { code, stdout } = await cli.reelay(['config', 'check'], env);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^PART +STATE +WHAT\nredis +ok +Redis 7/);
  expect(stdout).toMatch(/warning +memory .*\n +Set maxmemory to what the machine can spare\.\n/);
});

test('a part that is away is an error, with what to do, beside what works', async () => {
  const nobody = `127.0.0.1:${await freePort()}`;
  const changes = { REDIS_URL: `redis://${nobody}`, CONVEX_URL: `http://${nobody}` };
  const { code, ok, findings, about } = await check(changes);
  expect([code, ok]).toEqual([1, false]);
  expect(about(/Redis did not answer/)).toMatchObject({ part: 'redis', state: 'error', todo: /REDIS_URL/ });
  const convex = findings.find(({ part }) => part === 'convex');
  expect(convex).toMatchObject({ state: 'error', todo: expect.stringContaining('CONVEX_URL') });
  expect(about(/^disk at/)).toMatchObject({ state: 'ok' });
});

test('a Redis that may lose work is an error', async () => {
  const connection = new Redis(redis.url);
  await connection.config('SET', 'maxmemory-policy', 'allkeys-lru');
  await connection.config('SET', 'appendfsync', 'everysec');
  try {
    const { code, about } = await check();
    expect(code).toBe(1);
    expect(about(/allkeys-lru/)).toMatchObject({ state: 'error', todo: expect.stringContaining('noeviction') });
    expect(about(/everysec/)).toMatchObject({ state: 'warning', todo: expect.stringContaining('appendfsync always') });
  } finally {
    await connection.config('SET', 'maxmemory-policy', 'noeviction');
    await connection.config('SET', 'appendfsync', 'always');
    connection.disconnect();
  }
});

test('a signing key that the deployment does not trust, and one that cannot be read', async () => {
  const stranger = await check({ REELAY_SIGNING_KEY: generateSigningKey() });
  expect(stranger.code).toBe(1);
  expect(stranger.about(/refuses us/)).toMatchObject({
    part: 'convex',
    todo: expect.stringContaining('deploy'),
  });
  const missing = await check({ REELAY_SIGNING_KEY: join(dir, 'none.pem') });
  expect(missing.about(/REELAY_SIGNING_KEY is unset, or no file/)).toMatchObject({ part: 'convex', state: 'error' });
});

test('a store that cannot be used, and a port that is taken', async () => {
  await writeFile(join(dir, 'file'), '');
  const taken = createServer((_, response) => response.end('something else'));
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const { code, findings, about } = await check({ REELAY_DATA: join(dir, 'file'), PORT: String(port) });
  taken.close();
  expect(code).toBe(1);
  expect(findings.find(({ part }) => part === 'store')).toMatchObject({ state: 'error' });
  expect(about(new RegExp(`PORT ${port} is taken`))).toMatchObject({ state: 'warning' });
});

test('a bucket in another region is followed, and said where it is', async () => {
  const s3 = await startStandInS3();
  const headers = { 'x-amz-bucket-region': 'eu-central-1' };
  s3.refuse = ({ region }) =>
    region === 'eu-central-1' || region === '' ? undefined : { status: 301, code: 'PermanentRedirect', headers };
  const bucket = { S3_BUCKET: 'films', S3_ENDPOINT_URL: s3.endpoint, S3_FORCE_PATH_STYLE: 'true' };
  const keys = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };
  const { code, about } = await check({ ...bucket, ...keys });
  await s3.close();
  expect(code).toBe(0);
  expect(about(/bucket films in eu-central-1/)).toMatchObject({
    state: 'warning',
    todo: expect.stringMatching(/AWS_REGION=eu-central-1: it says us-east-1/),
  });
  expect(about(/^verifies by SHA-256, MD5 ETags$/)).toMatchObject({ state: 'ok' });
});

test('a wrong environment ends with 78, every mistake named', async () => {
  const { code, ok, findings } = await check({ PORT: 'abc', LANES: 'huge' });
  expect([code, ok]).toEqual([78, false]);
  expect(findings).toMatchObject([{ part: 'environment', state: 'error' }]);
  expect(findings[0]?.what).toMatch(/PORT: .*\n.*LANES/);
});
