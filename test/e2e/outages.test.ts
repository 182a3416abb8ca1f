import { expect, test } from 'vitest';
import { OUTAGES } from '#test/bad-input/outages.ts';

test.each(OUTAGES)(
  '$outage: nothing is lost',
  async ({ run, expected }) => {
    expect(await run()).toEqual(expected);
  },
  120_000,
);
