import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { S3Config } from '#config';
import { codeOf } from './s3-errors.ts';
import { assertEncrypted, confirms } from './s3-verify.ts';

const digest = (algorithm: string, ...bytes: (string | Buffer)[]) => {
  const hash = createHash(algorithm);
  for (const part of bytes) hash.update(part);
  return hash.digest();
};
const partOf = (text: string) => ({ sha256: digest('sha256', text), md5: digest('md5', text) });
const checksum = digest('sha256', 'onetwo').toString('hex');
const whole = { size: 6, checksum, parts: [partOf('onetwo')], multipart: false };
const parts = { size: 6, checksum, parts: [partOf('one'), partOf('two')], multipart: true };
const md5 = digest('md5', 'onetwo').toString('hex');
const md5s = digest('md5', ...parts.parts.map((part) => part.md5)).toString('hex');
const composite = digest('sha256', ...parts.parts.map((part) => part.sha256)).toString('base64');
const full = digest('sha256', 'onetwo').toString('base64');

describe('the ladder of proofs', () => {
  test.each([
    ['the checksum of all of it', whole, { ChecksumSHA256: full, ETag: '"x"' }, 'checksum'],
    ['the same for parts, where a store has it', parts, { ChecksumSHA256: full }, 'checksum'],
    ['a composite of the parts', parts, { ChecksumSHA256: `${composite}-2`, ETag: '"x"' }, 'composite'],
    ['the MD5', whole, { ETag: `"${md5}"` }, 'etag'],
    ['the MD5 of the MD5s', parts, { ETag: `"${md5s}-2"` }, 'etag'],
    ['the MD5 under the store’s own keys', whole, { ETag: `"${md5}"`, ServerSideEncryption: 'AES256' }, 'etag'],
    ['no MD5 under KMS', whole, { ETag: `"${md5}"`, ServerSideEncryption: 'aws:kms' }, undefined],
    ['another checksum', whole, { ChecksumSHA256: composite, ETag: '"x"' }, undefined],
    ['a composite of other parts', parts, { ChecksumSHA256: `${full}-2` }, undefined],
    ['another number of parts', parts, { ETag: `"${md5s}-3"` }, undefined],
    [
      'parts without an MD5',
      { ...parts, parts: [{ sha256: digest('sha256', '') }] },
      { ETag: `"${md5s}-2"` },
      undefined,
    ],
    ['nothing', whole, {}, undefined],
  ] as const)('%s', (_, expected, answer, proof) => {
    expect(confirms(expected, answer)).toBe(proof);
  });
});

describe('encryption', () => {
  const config = (sse: S3Config['sse'], kmsKeyId?: string) => ({ sse, kmsKeyId }) as S3Config;
  const arn = 'arn:aws:kms:us-east-1:123456789012:key/abc';

  test.each([
    [config(undefined), {}],
    [config('AES256'), { ServerSideEncryption: 'AES256' }],
    [config('aws:kms', 'abc'), { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: arn }],
    [config('aws:kms', arn), { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: arn }],
    [config('aws:kms', 'alias/films'), { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: arn }],
  ] as const)('%j is confirmed by %j', (asked, answer) => {
    expect(() => assertEncrypted(asked, answer)).not.toThrow();
  });

  test.each([
    [config('AES256'), {}],
    [config('aws:kms', 'abc'), { ServerSideEncryption: 'AES256' }],
    [config('aws:kms', 'other'), { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: arn }],
  ] as const)('%j is not by %j', (asked, answer) => {
    expect(() => assertEncrypted(asked, answer)).toThrow(expect.objectContaining({ code: 'ENCRYPTION_NOT_APPLIED' }));
  });
});

describe('what stores say', () => {
  test.each([
    ['SlowDown', 503, 'STORE_UNAVAILABLE'],
    ['ECONNREFUSED', undefined, 'STORE_UNAVAILABLE'],
    ['TimeoutError', undefined, 'STORE_UNAVAILABLE'],
    ['SomethingNew', 502, 'STORE_UNAVAILABLE'],
    ['NoSuchBucket', 404, 'STORE_BUCKET_MISSING'],
    ['ExpiredToken', 400, 'STORE_CREDENTIALS_EXPIRED'],
    ['ExpiredTokenException', 400, 'STORE_CREDENTIALS_EXPIRED'],
    ['TokenRefreshRequired', 400, 'STORE_CREDENTIALS_EXPIRED'],
    ['SomethingNew', 403, 'STORE_ACCESS_DENIED'],
    ['QuotaExceeded', 403, 'STORE_FULL'],
    ['NoSuchKey', 404, 'NOT_FOUND'],
    ['InvalidRange', 416, 'RANGE_NOT_SATISFIABLE'],
    ['NotImplemented', 501, 'STORE_REJECTED'],
    ['EntityTooLarge', 400, 'STORE_REJECTED'],
    ['SomethingNew', 400, 'STORE_FAILED'],
    ['SomethingNew', undefined, 'STORE_FAILED'],
  ])('%s with status %s is %s', (name, status, code) => {
    expect(codeOf(name, status)).toBe(code);
  });
});
