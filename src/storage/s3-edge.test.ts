import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { readConfig, type S3Config } from '#config';
import { pieces } from '#test/sources.ts';
import { type Refusal, type SeenRequest, type StandInS3, startStandInS3 } from '#test/stand-in-s3.ts';
import { createS3Store } from './s3.ts';

let s3: StandInS3;

beforeAll(async () => {
  s3 = await startStandInS3();
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'key');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
});
beforeEach(() => {
  s3.seen.length = 0;
  s3.refuse = () => undefined;
});
afterEach(() => Promise.all(stores.splice(0).map((store) => store.close())));
afterAll(async () => {
  vi.unstubAllEnvs();
  await s3.close();
});

const text = { contentType: 'text/plain' };
const stores: ReturnType<typeof createS3Store>[] = [];

function open(env: NodeJS.ProcessEnv = {}) {
  const own = { S3_BUCKET: 'films', S3_ENDPOINT_URL: s3.endpoint, S3_FORCE_PATH_STYLE: 'true' };
  const config = readConfig({ ...own, ...env }).store as S3Config;
  const store = createS3Store(config, { clock: Date.now });
  stores.push(store);
  return store;
}

describe('a bucket in another region than the configured one', () => {
  const elsewhere = (how: (request: SeenRequest) => Refusal) => (request: SeenRequest) =>
    request.region === 'eu-central-1' ? undefined : how(request);
  const bucketRegion = { 'x-amz-bucket-region': 'eu-central-1' };
  const answers: [string, (request: SeenRequest) => Refusal][] = [
    ['a redirect', () => ({ status: 301, code: 'PermanentRedirect', headers: bucketRegion })],
    ['a refused signature', () => ({ status: 400, code: 'AuthorizationHeaderMalformed', headers: bucketRegion })],
    [
      'a refused signature that names it in the body alone',
      () => ({ status: 400, code: 'AuthorizationHeaderMalformed', elements: '<Region>eu-central-1</Region>' }),
    ],
  ];

  test.each(answers)('%s is followed, once for all requests', async (_, how) => {
    s3.refuse = elsewhere(how);
    const store = open();
    await store.put('a', pieces(randomBytes(9)), text);
    const misled = () => s3.seen.filter(({ region }) => region !== 'eu-central-1').length;
    expect(misled()).toBe(1);
    await Promise.all(Array.from({ length: 10 }, (_, index) => store.put(`b-${index}`, pieces(randomBytes(9)), text)));
    expect(misled()).toBe(1);
  });

  test.each(answers)('%s: signed URLs are for the right one from the first on', async (_, how) => {
    s3.refuse = elsewhere(how);
    const { url } = await open().signGet('a', { expiresInSeconds: 60 });
    expect(new URL(url).searchParams.get('X-Amz-Credential')).toContain('/eu-central-1/s3/');
  });

  test('a store that is away leaves the configured region to sign for', async () => {
    s3.refuse = () => ({ status: 503, code: 'SlowDown' });
    const { url } = await open().signGet('a', { expiresInSeconds: 60 });
    expect(new URL(url).searchParams.get('X-Amz-Credential')).toContain('/us-east-1/s3/');
  });

  test('a bucket that sends requests in a circle is an error', async () => {
    s3.refuse = ({ region }) => ({
      status: 301,
      code: 'PermanentRedirect',
      headers: { 'x-amz-bucket-region': region === 'us-east-1' ? 'us-east-2' : 'us-east-1' },
    });
    await expect(open().put('a', pieces(randomBytes(9)), text)).rejects.toMatchObject({
      code: 'STORE_REJECTED',
      message: expect.stringContaining('PermanentRedirect'),
    });
  });
});

describe('the checksum mode', () => {
  const sent = (method: string) => s3.seen.findLast((request) => request.method === method)?.headers ?? {};

  test.each([
    ['WHEN_REQUIRED', undefined],
    ['WHEN_SUPPORTED', 'ENABLED'],
  ])('%s decides what requests carry; a URL carries nothing of it', async (S3_CHECKSUM_MODE, asks) => {
    const store = open({ S3_CHECKSUM_MODE });
    await store.put('a', pieces(randomBytes(9)), text);
    const { body } = await store.get('a');
    body.destroy();
    expect(sent('GET')['x-amz-checksum-mode']).toBe(asks);
    await store.deleteMany(['a']);
    const { 'content-md5': md5, 'x-amz-checksum-crc32': crc } = sent('POST');
    expect([md5 !== undefined, crc !== undefined]).toEqual([asks === undefined, asks !== undefined]);
    const { url } = await store.signGet('a', { expiresInSeconds: 60 });
    expect(url.toLowerCase()).not.toContain('checksum');
  });
});

test('what is asked of every object travels with it, staged bytes in the bucket’s own class', async () => {
  const store = open({ S3_TAGS: 'team=films @home,stage=prod', S3_STORAGE_CLASS: 'STANDARD_IA' });
  await store.put('projects/a', pieces(randomBytes(9)), text);
  await store.put('staging/a', pieces(randomBytes(9)), text);
  const [asset, staged] = ['projects', 'staging'].map((folder) =>
    s3.seen.find(({ method, path }) => method === 'PUT' && path.startsWith(`/films/${folder}`)),
  );
  expect(asset?.headers['x-amz-tagging']).toBe('team=films%20%40home&stage=prod');
  expect(asset?.headers['x-amz-storage-class']).toBe('STANDARD_IA');
  expect(staged?.headers['x-amz-tagging']).toBe('team=films%20%40home&stage=prod');
  expect(staged?.headers['x-amz-storage-class']).toBeUndefined();
});

test('what a console calls a folder is not listed, and listing goes on after it', async () => {
  const contents = (key: string) => `<Contents><Key>${key}</Key><Size>0</Size></Contents>`;
  const keys = ['projects/', 'projects/a', 'projects//b', 'projects/c/'];
  s3.listing = `<ListBucketResult><IsTruncated>true</IsTruncated>${keys.map(contents).join('')}</ListBucketResult>`;
  expect(await open().list('projects/')).toMatchObject({ objects: [{ key: 'projects/a' }], next: 'projects/c/' });
});
