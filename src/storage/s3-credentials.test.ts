import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { readConfig, type S3Config } from '#config';
import { pieces } from '#test/sources.ts';
import { type StandInAws, startStandInAws } from '#test/stand-in-aws.ts';
import { type StandInS3, startStandInS3 } from '#test/stand-in-s3.ts';
import { createS3Store } from './s3.ts';
import type { Store } from './store.ts';

let s3: StandInS3;
let aws: StandInAws;
let dir: string;

beforeAll(async () => {
  [s3, aws, dir] = await Promise.all([startStandInS3(), startStandInAws(), mkdtemp(join(tmpdir(), 'reelay-keys-'))]);
});
afterAll(async () => {
  await Promise.all([s3.close(), aws.close()]);
  await rm(dir, { recursive: true });
});

const stores: Store[] = [];
const text = { contentType: 'text/plain' };
const ROLE = 'arn:aws:iam::123456789012:role/films';
const soon = (ms: number) => new Date(Date.now() + ms);
const HOUR = 3_600_000;
const file = () => join(dir, 'credentials');

beforeEach(() => {
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_PROFILE']) {
    vi.stubEnv(name, undefined);
  }
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', file());
  vi.stubEnv('AWS_CONFIG_FILE', join(dir, 'none'));
  vi.stubEnv('AWS_ENDPOINT_URL_STS', aws.endpoint);
  s3.seen.length = 0;
  aws.calls.length = 0;
  aws.credentials = { token: 'first', expiration: soon(HOUR) };
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(file(), { force: true });
  await Promise.all(stores.splice(0).map((store) => store.close()));
});

function open(env: NodeJS.ProcessEnv = {}): Store {
  const own = { S3_BUCKET: 'films', S3_ENDPOINT_URL: s3.endpoint, S3_FORCE_PATH_STYLE: 'true' };
  const store = createS3Store(readConfig({ ...own, ...env }).store as S3Config, { clock: Date.now });
  stores.push(store);
  return store;
}

const put = (store: Store) => store.put('a', pieces(randomBytes(9)), text);
const usedLast = () => s3.seen.at(-1)?.headers['x-amz-security-token'];
const writeKeys = (token: string) =>
  writeFile(
    file(),
    `[default]\naws_access_key_id=key-${token}\naws_secret_access_key=secret\naws_session_token=${token}\n`,
  );

/** The store takes the token it knows as good, and says of any other that it has expired, as S3 does. */
function accept(token: string): void {
  s3.refuse = ({ headers, method }) =>
    headers['x-amz-security-token'] === token
      ? undefined
      : { status: 400, code: method === 'HEAD' ? '' : 'ExpiredToken' };
}

describe('credentials are found where the AWS SDK finds them', () => {
  test.each<[string, () => Record<string, string>]>([
    ['a container', () => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `${aws.endpoint}/container` })],
    ['an instance', () => ({ AWS_EC2_METADATA_DISABLED: 'false', AWS_EC2_METADATA_SERVICE_ENDPOINT: aws.endpoint })],
    ['a web identity', () => ({ AWS_WEB_IDENTITY_TOKEN_FILE: file(), AWS_ROLE_ARN: ROLE })],
  ])('of %s', async (name, env) => {
    if (name === 'a web identity') await writeFile(file(), 'a token of the cluster');
    for (const [key, value] of Object.entries(env())) vi.stubEnv(key, value);
    await put(open());
    expect(usedLast()).toBe('first');
  });

  test('of a profile', async () => {
    await writeKeys('first');
    await put(open());
    expect(usedLast()).toBe('first');
  });

  test('and nowhere: work waits, and is told what is missing', async () => {
    await expect(put(open())).rejects.toMatchObject({
      code: 'STORE_CREDENTIALS_EXPIRED',
      unavailable: true,
      message: expect.stringContaining('No credentials for the store were found'),
      nextAction: expect.stringContaining('AWS_ACCESS_KEY_ID'),
    });
  });

  test('once their source is up, later than the process that asks it', async () => {
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `${aws.endpoint}/container`);
    const store = open();
    aws.credentials = undefined;
    await expect(put(store)).rejects.toMatchObject({ code: 'STORE_CREDENTIALS_EXPIRED', unavailable: true });
    aws.credentials = { token: 'late', expiration: soon(HOUR) };
    await put(store);
    expect(usedLast()).toBe('late');
  });
});

describe('credentials that end', () => {
  test('of a file that is rewritten in place are taken up without a restart', async () => {
    await writeKeys('old');
    accept('old');
    const store = open();
    await put(store);
    accept('new');
    const error = { code: 'STORE_CREDENTIALS_EXPIRED', unavailable: true };
    await expect(put(store)).rejects.toMatchObject(error);
    await expect(store.head('a')).rejects.toMatchObject(error);
    await writeKeys('new');
    await put(store);
    expect(usedLast()).toBe('new');
    expect(await store.head('a')).toMatchObject({ size: 9 });
  });

  test.each(['InvalidAccessKeyId', 'InvalidToken'])('keys that were replaced (%s) are taken up too', async (code) => {
    await writeKeys('old');
    const store = open();
    s3.refuse = ({ accessKeyId }) => (accessKeyId === 'key-new' ? undefined : { status: 403, code });
    await expect(put(store)).rejects.toMatchObject({ code: 'STORE_ACCESS_DENIED' });
    await writeKeys('new');
    await put(store);
  });

  test.each(['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired'])('are named (%s)', async (code) => {
    await writeKeys('old');
    s3.refuse = () => ({ status: 400, code });
    await expect(put(open())).rejects.toMatchObject({ code: 'STORE_CREDENTIALS_EXPIRED', unavailable: true });
  });
});

describe('a role that is assumed', () => {
  const role = { S3_ROLE_ARN: ROLE, S3_ROLE_EXTERNAL_ID: 'partner' };
  beforeEach(async () => {
    await writeKeys('master');
    s3.refuse = () => undefined;
  });

  test('is asked for with its external id, once', async () => {
    const store = open(role);
    await Promise.all([put(store), store.head('b'), store.signGet('a', { expiresInSeconds: 60 })]);
    expect(aws.calls).toHaveLength(1);
    const { Action, RoleArn, ExternalId, RoleSessionName } = Object.fromEntries(aws.calls[0] ?? []);
    expect({ Action, RoleArn, ExternalId, RoleSessionName }).toEqual({
      Action: 'AssumeRole',
      RoleArn: ROLE,
      ExternalId: 'partner',
      RoleSessionName: 'reelay',
    });
    expect(usedLast()).toBe('first');
  });

  test('is assumed again before its credentials end, and these go on while that fails', async () => {
    aws.credentials = { token: 'first', expiration: soon(60_000) };
    const store = open(role);
    await put(store);
    aws.credentials = undefined;
    await put(store);
    expect(usedLast()).toBe('first');
    aws.credentials = { token: 'second', expiration: soon(HOUR) };
    await put(store);
    expect(usedLast()).toBe('second');
  });

  test('that nobody gives any more is an outage once the credentials have ended', async () => {
    aws.credentials = { token: 'first', expiration: soon(-1_000) };
    const store = open(role);
    await put(store);
    aws.credentials = undefined;
    await expect(put(store)).rejects.toMatchObject({ code: 'STORE_CREDENTIALS_EXPIRED', unavailable: true });
  });

  test('signs URLs that end with its credentials', async () => {
    const expiration = new Date(Math.ceil(Date.now() / 1000) * 1000 + 600_000);
    aws.credentials = { token: 'first', expiration };
    const { url, expiresAt } = await open(role).signGet('a', { expiresInSeconds: 3600 });
    expect(expiresAt).toBe(expiration.getTime());
    expect(new URL(url).searchParams.get('X-Amz-Security-Token')).toBe('first');
  });
});
