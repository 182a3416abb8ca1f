import { expect, test } from 'vitest';
import { ConfigError, readConfig } from '#config';

test('names every mistake at once, in plain words', () => {
  const env = {
    PORT: 'abc',
    LANES: 'small,huge',
    REDIS_URL: 'localhost:6379',
    S3_PRESIGN_EXPIRES: '1.5',
    S3_BUCKET: 'b',
  };
  expect(() => readConfig(env)).toThrow(
    new ConfigError(
      [
        'The environment is not usable:',
        '  PORT: Must be a whole number from 0 to 65535.',
        '  LANES.1: Must be one of small, large, maintenance.',
        '  REDIS_URL: Must be a URL of redis or rediss.',
        '  S3_BUCKET: Must have at least 3 characters.',
        '  S3_PRESIGN_EXPIRES: Must be a whole number from 60 to 604800.',
      ].join('\n'),
    ),
  );
});

test('counts an empty variable as unset', () => {
  expect(readConfig({ PORT: '', S3_BUCKET: '' })).toMatchObject({ port: 3000, store: { kind: 'disk' } });
});
