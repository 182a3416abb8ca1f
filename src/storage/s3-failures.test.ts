import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as sdk from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { classOf } from '#errors';
import { codeOf, toStoreError } from './s3-errors.ts';
import { S3_FAILURES } from './s3-failures.ts';

const require = createRequire(import.meta.url);
const known = new Map(S3_FAILURES.flatMap(({ code, says }) => says.map((said) => [said, code] as const)));

/** Lists of names in the SDK's own table of what to repeat. */
function sdkTable(): Map<string, readonly string[]> {
  const smithy = createRequire(require.resolve('@aws-sdk/client-s3')).resolve('@smithy/core/retry');
  const constants = new URL(
    '../../../dist-es/submodules/retry/service-error-classification/constants.js',
    `file://${smithy}`,
  );
  const lists = readFileSync(constants, 'utf8').matchAll(/const (\w+) = \[([^\]]*)\]/g);
  return new Map(
    [...lists].map(([, name = '', body = '']) => [name, [...body.matchAll(/"(\w+)"/g)].map(([, said = '']) => said)]),
  );
}

test('names each of its exceptions', () => {
  const classes = Object.entries(sdk)
    .filter(([, one]) => typeof one === 'function' && one.prototype instanceof sdk.S3ServiceException)
    .map(([name]) => name);
  expect(classes.length).toBeGreaterThan(10);
  expect(classes.filter((name) => !known.has(name))).toEqual([]);
});

test('names each code of the documented list', () => {
  const models = require
    .resolve('@aws-sdk/client-s3/package.json')
    .replace('package.json', 'dist-types/models/models_0.d.ts');
  const shape = /export interface _Error \{([\s\S]*?)\n\}/.exec(readFileSync(models, 'utf8'))?.[1] ?? '';
  const codes = [...shape.matchAll(/<i>Code:<\/i> (\w{4,})/g)].map(([, code = '']) => code);
  expect(codes.length).toBeGreaterThan(70);
  expect(codes.filter((code) => !known.has(code))).toEqual([]);
});

test("agrees with the SDK's table of what may be repeated", () => {
  const table = sdkTable();
  const listed = (name: string) => table.get(`${name}_ERROR_CODES`) ?? [];
  const passing = ['THROTTLING', 'TRANSIENT', 'NODEJS_TIMEOUT', 'NODEJS_NETWORK'].flatMap(listed);
  expect(passing.length).toBeGreaterThan(20);
  expect(passing.filter((name) => codeOf(name, undefined) !== 'STORE_UNAVAILABLE')).toEqual([]);
  expect(listed('CLOCK_SKEW').filter((name) => !known.has(name))).toEqual([]);
});

test('says each name once, and is of no class but those of its codes', () => {
  const says = S3_FAILURES.flatMap((row) => row.says);
  expect(says.filter((said, at) => says.indexOf(said) !== at)).toEqual([]);
  for (const { code, why } of S3_FAILURES) expect(`${classOf(code)}: ${why}`).toMatch(/^\w+: .+\.$/);
});

test('takes what nobody knows for transient, and any other 5xx for an outage', () => {
  expect(toStoreError(new TypeError('a fault'))).toMatchObject({ code: 'STORE_FAILED', retryable: true });
  expect(codeOf('SomethingNew', 418)).toBe('STORE_FAILED');
  expect(codeOf('SomethingNew', 599)).toBe('STORE_UNAVAILABLE');
});
