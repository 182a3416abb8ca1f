import type { Plan } from './plan.ts';

const MB = 1_000_000;

/** A minute of everything, in `.ci/run`. */
export const SHORT: Plan = {
  seed: 4,
  cargo: { files: 200, bytes: 120 * MB, largest: 24 * MB },
  workers: 3,
  killEvery: 2_000,
  mostKills: 9,
  leastKills: { upload: 3, commit: 1 },
  redisKills: 1,
  apiKills: 1,
  cutFor: 3_000,
  partitions: 0,
  stalls: 1,
  resets: 1,
  answersLost: 2,
};

/** `npm run chaos`. */
export const LONG: Plan = {
  seed: 1,
  cargo: { files: 3_000, bytes: 3_000 * MB, largest: 100 * MB },
  workers: 3,
  killEvery: 2_000,
  leastKills: { upload: 20, commit: 5 },
  redisKills: 3,
  apiKills: 2,
  cutFor: 20_000,
  partitions: 2,
  stalls: 2,
  resets: 3,
  answersLost: 5,
};

/** No fault at all: what a plan for one kind of them begins with. */
export const CALM: Plan = {
  seed: 5,
  cargo: { files: 120, bytes: 40 * MB, largest: 8 * MB },
  workers: 2,
  killEvery: undefined,
  leastKills: { upload: 0, commit: 0 },
  redisKills: 0,
  apiKills: 0,
  cutFor: 0,
  partitions: 0,
  stalls: 0,
  resets: 0,
  answersLost: 0,
};

/** The accept chapter: 5,000 files of 5 GB. */
export const STORM: Plan = {
  ...CALM,
  seed: 20,
  cargo: { files: 5_000, bytes: 5_000 * MB, largest: 50 * MB },
  workers: 4,
  killEvery: 2_000,
  leastKills: { upload: 50, commit: 1 },
  redisKills: 3,
  cutFor: 20_000,
};
