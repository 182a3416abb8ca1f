import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { startConvexEdge } from '#test/convex-edge.ts';
import { until } from '#test/until.ts';
import { createConvexMetadata } from './convex.ts';
import { createFlags, isOnFor } from './flags.ts';
import type { Flag } from './metadata.ts';

describe('a flag', () => {
  const at = (subject: string) => ({ environment: 'production', project: 'demo', subject });
  const percentage = fc.double({ min: 0, max: 100, noNaN: true });

  it('only gains subjects as its percentage rises, and always says the same of one', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), percentage, percentage, (name, subject, one, other) => {
        const [low, high] = [Math.min(one, other), Math.max(one, other)];
        const before = isOnFor({ name, percentage: low }, at(subject));
        expect(isOnFor({ name, percentage: low }, at(subject))).toBe(before);
        if (before) expect(isOnFor({ name, percentage: high }, at(subject))).toBe(true);
      }),
    );
  });

  it('is on for its share of the subjects: for nobody at 0, for all at 100', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (name, subject) => {
        expect(isOnFor({ name, percentage: 0 }, at(subject))).toBe(false);
        expect(isOnFor({ name, percentage: 100 }, at(subject))).toBe(true);
      }),
    );
    const share = (flag: Flag) =>
      Array.from({ length: 2_000 }, (_, index) => isOnFor(flag, at(`a_${index}`))).filter(Boolean).length / 20;
    // 2,000 draws deviate by 1.1 points; six times that happens once in 500 million names.
    fc.assert(
      fc.property(fc.string(), percentage, (name, percentage) => {
        expect(Math.abs(share({ name, percentage }) - percentage)).toBeLessThan(6.6);
      }),
      { numRuns: 50, seed: 1 },
    );
  });

  it('is on for other subjects than another flag of the same percentage', () => {
    const half = (name: string, index: number) => isOnFor({ name, percentage: 50 }, at(`a_${index}`));
    const alike = Array.from({ length: 2_000 }, (_, index) => half('one', index) === half('two', index));
    expect(Math.abs(alike.filter(Boolean).length - 1_000)).toBeLessThan(140);
  });

  it('is off outside its environments and projects', () => {
    const question = at('a_1');
    const flag = { name: 'f', percentage: 100 };
    expect(isOnFor({ ...flag, environments: ['production'], projects: ['demo'] }, question)).toBe(true);
    expect(isOnFor({ ...flag, environments: ['staging'] }, question)).toBe(false);
    expect(isOnFor({ ...flag, projects: ['another'] }, question)).toBe(false);
    expect(isOnFor({ ...flag, projects: [] }, question)).toBe(false);
  });
});

describe('flags of a process', () => {
  /** Flags over a Convex that answers what the test says; undefined is an outage. */
  async function world(flags: Flag[] | undefined) {
    const state = { now: 1, flags, errors: [] as unknown[] };
    const edge = await startConvexEdge(() => (state.flags ? { value: state.flags } : { status: 503 }));
    const made = createFlags({
      metadata: createConvexMetadata({ url: edge.url, token: async () => 't' }),
      environment: 'test',
      clock: () => state.now,
      onError: (error) => state.errors.push(error),
    });
    const isOn = (otherwise = false, name = 'f') => made.isOn(name, { project: 'demo', subject: 'a_1', otherwise });
    const becomes = (wanted: boolean) =>
      until(async () => (await isOn(!wanted)) === wanted, { within: 5_000, what: 'a refresh' });
    return { state, edge, isOn, becomes, [Symbol.asyncDispose]: () => edge.close() };
  }
  const ON = [{ name: 'f', percentage: 100 }];
  const OFF = [{ name: 'f', percentage: 0 }];

  it('are asked for once, for all names, and again when ten seconds have passed', async () => {
    await using w = await world(ON);
    expect(await Promise.all([w.isOn(), w.isOn(), w.isOn(true, 'another'), w.isOn(false, 'another')])).toEqual([
      true,
      true,
      true,
      false,
    ]);
    w.state.flags = OFF;
    w.state.now += 9_999;
    expect(await w.isOn()).toBe(true);
    expect(w.edge.calls).toHaveLength(1);
    w.state.now += 2;
    expect(await w.isOn()).toBe(true);
    await w.becomes(false);
    expect(w.edge.calls).toHaveLength(2);
  });

  it('stay as they were while Convex is away, which is asked every five seconds', async () => {
    await using w = await world(ON);
    await w.isOn();
    w.state.flags = undefined;
    w.state.now += 3_600_000;
    expect(await w.isOn()).toBe(true);
    await until(() => w.state.errors.length === 1, { within: 5_000, what: 'the failure' });
    expect(w.state.errors).toMatchObject([{ code: 'METADATA_UNAVAILABLE' }]);
    w.state.now += 4_999;
    expect(await w.isOn()).toBe(true);
    expect(w.edge.calls).toHaveLength(2);
    w.state.flags = OFF;
    w.state.now += 2;
    await w.becomes(false);
  });

  it('are what the caller says while nothing is known', async () => {
    await using w = await world(undefined);
    expect([await w.isOn(true), await w.isOn(false)]).toEqual([true, false]);
    expect(w.edge.calls).toHaveLength(1);
    w.state.flags = ON;
    w.state.now += 5_001;
    await w.becomes(true);
  });
});
