import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StoreUnderTest } from './store-bench.ts';
import { describeKeys } from './store-keys.ts';
import { describePuts } from './store-puts.ts';
import { describeQuarantine } from './store-quarantine.ts';
import { describeReads } from './store-reads.ts';
import { describeRefusals } from './store-refusals.ts';
import { describeResuming } from './store-resume.ts';
import { describeStops } from './store-stops.ts';
import { describeUploads } from './store-uploads.ts';

export type { StoreUnderTest } from './store-bench.ts';

type Part = (getUnderTest: () => StoreUnderTest) => void;
/** Bytes on their way to the store and back. */
const TRANSFERS: readonly Part[] = [describePuts, describeReads];
const ALL: readonly Part[] = [
  ...TRANSFERS,
  describeRefusals,
  describeKeys,
  describeResuming,
  describeStops,
  describeUploads,
  describeQuarantine,
];

/** The suite of the port `Store`; each adapter runs it. */
export function describeStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describeParts(`${name} keeps the promises of the store port`, ALL, open);
}

/** The parts of it that another way to a store may change. */
export function describeTransfers(name: string, open: () => Promise<StoreUnderTest>): void {
  describeParts(`${name} takes bytes and gives them back`, TRANSFERS, open);
}

function describeParts(title: string, parts: readonly Part[], open: () => Promise<StoreUnderTest>): void {
  describe(title, () => {
    let under: StoreUnderTest;

    beforeAll(async () => {
      under = await open();
    });
    afterAll(() => under?.close());

    for (const describePart of parts) describePart(() => under);

    test('says that it can be written to, and nothing was left', async () => {
      await under.store.check();
      expect(await under.leftovers()).toBe(0);
    });
  });
}
