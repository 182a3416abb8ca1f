import { expect, test } from 'vitest';
import { ConfigError, readConfig } from '#config';
import { REDIS_URL_FORMS } from '#redis/address.ts';

test('names every mistake at once, in plain words', () => {
  const env = {
    PORT: 'abc',
    LANES: 'small,huge',
    REDIS_URL: 'localhost:6379',
    S3_PRESIGN_EXPIRES: '1.5',
    S3_BUCKET: 'b',
    S3_SSE: 'aws:kms',
  };
  expect(() => readConfig(env)).toThrow(
    new ConfigError(
      [
        'The environment is not usable:',
        '  PORT: Must be a whole number from 0 to 65535.',
        '  LANES, entry 2: Must be one of small, large, maintenance.',
        `  REDIS_URL: Must be of a form of these: ${REDIS_URL_FORMS}.`,
        '  S3_BUCKET: Must have at least 3 characters.',
        '  S3_PRESIGN_EXPIRES: Must be a whole number from 60 to 604800.',
        '  S3_KMS_KEY_ID: Is missing; S3_SSE=aws:kms needs it.',
      ].join('\n'),
    ),
  );
});

test('refuses a worker without lanes', () => {
  expect(() => readConfig({ LANES: ',' })).toThrow(/LANES: Must not be empty/);
});

test('counts an empty variable as unset', () => {
  expect(readConfig({ PORT: '', S3_BUCKET: '' })).toMatchObject({ port: 3000, store: { kind: 'disk' } });
});

test('reads the tags of objects, and says what is wrong between variables of the bucket', () => {
  const env = { S3_BUCKET: 'films', S3_TAGS: 'team=films, stage=prod,empty=' };
  expect(readConfig(env)).toMatchObject({ store: { tags: { team: 'films', stage: 'prod', empty: '' } } });
  const wrong = { S3_SSE: 'aws:kms', S3_ROLE_EXTERNAL_ID: 'them' };
  expect(() => readConfig({ ...env, ...wrong })).toThrow(/S3_KMS_KEY_ID: Is missing.*\n.*S3_ROLE_ARN: Is missing/);
  expect(() => readConfig({ ...env, S3_TAGS: 'team=a,team=b' })).toThrow(/S3_TAGS: Must name each tag once/);
  expect(() => readConfig({ ...env, S3_STORAGE_CLASS: 'GLACIER' })).toThrow(/read at once/);
});
