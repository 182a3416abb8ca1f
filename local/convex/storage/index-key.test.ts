import { compareValues, convexToJson, type Value } from 'convex/values';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeValue, pastPrefix } from './index-key.ts';

const text = fc.string({ unit: 'binary' });
const leaf: fc.Arbitrary<Value> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.double(),
  fc.constantFrom(0, -0, Number.NaN, Infinity, -Infinity, Number.MIN_VALUE, Number.MAX_SAFE_INTEGER),
  text,
  fc.constantFrom('', 'a', 'a\0', 'a\0b', 'ab', '\uffff', '𐀀'),
  fc.uint8Array({ maxLength: 6 }).map((bytes) => bytes.slice().buffer),
);
const field = fc.stringMatching(/^[a-z_]{1,3}$/);
const value = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { weight: 3, arbitrary: leaf },
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(field, tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value;

const encode = (one: Value | undefined) => encodeValue(one === undefined ? undefined : convexToJson(one));
const order = (one: string, other: string) => Math.sign(Buffer.compare(latin1(one), latin1(other)));
const latin1 = (key: string) => Buffer.from(key, 'latin1');

test('the bytes of keys are ordered as Convex orders values', () => {
  const maybe = fc.option(value, { nil: undefined });
  fc.assert(
    fc.property(maybe, maybe, (one, other) => {
      expect(order(encode(one), encode(other))).toBe(Math.sign(compareValues(one, other)));
    }),
    { numRuns: 3_000 },
  );
});

test('neighbours are ordered as well: values that differ in one place', () => {
  fc.assert(
    fc.property(fc.array(leaf, { maxLength: 3 }), leaf, leaf, (shared, one, other) => {
      const [left, right] = [
        [...shared, one],
        [...shared, other],
      ];
      expect(order(encode(left), encode(right))).toBe(Math.sign(compareValues(left, right)));
    }),
    { numRuns: 2_000 },
  );
});

test('several fields in a row are ordered field by field, and a prefix holds exactly what begins with it', () => {
  fc.assert(
    fc.property(value, value, value, value, (first, second, otherFirst, otherSecond) => {
      const key = encode(first) + encode(second);
      const other = encode(otherFirst) + encode(otherSecond);
      const byFields = compareValues(first, otherFirst) || compareValues(second, otherSecond);
      expect(order(key, other)).toBe(Math.sign(byFields));
      const within = other >= encode(first) && other < pastPrefix(encode(first));
      expect(within).toBe(compareValues(first, otherFirst) === 0);
    }),
    { numRuns: 2_000 },
  );
});

test('JavaScript compares keys as bytes are compared', () => {
  fc.assert(
    fc.property(value, value, (one, other) => {
      const [left, right] = [encode(one), encode(other)];
      expect(left < right ? -1 : left > right ? 1 : 0).toBe(order(left, right));
    }),
  );
});
