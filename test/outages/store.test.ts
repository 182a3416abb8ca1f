import { expect, test } from 'vitest';
import { HEAVY_OUTAGES } from '#test/bad-input/outages.ts';

test.each(HEAVY_OUTAGES)(
  '$outage: nothing is lost',
  async ({ run, expected }) => {
    expect(await run()).toEqual(expected);
  },
  180_000,
);
