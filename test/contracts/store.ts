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

/** The suite of the port `Store`; each adapter runs it. */
export function describeStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the promises of the store port`, () => {
    let under: StoreUnderTest;
    const getUnderTest = () => under;

    beforeAll(async () => {
      under = await open();
    });
    afterAll(() => under?.close());

    describePuts(getUnderTest);
    describeRefusals(getUnderTest);
    describeReads(getUnderTest);
    describeKeys(getUnderTest);
    describeResuming(getUnderTest);
    describeStops(getUnderTest);
    describeUploads(getUnderTest);
    describeQuarantine(getUnderTest);

    test('says that it can be written to, and nothing was left', async () => {
      await under.store.check();
      expect(await under.leftovers()).toBe(0);
    });
  });
}
