import type { Plan } from './plan.ts';

const MB = 1_000_000;

/** A minute of everything, in `.ci/run`. */
export const SHORT: Plan = {
  seed: 4,
  cargo: { files: 200, bytes: 120 * MB, largest: 24 * MB },
  workers: 3,
  killEvery: 2_000,
  leastKills: { upload: 3, commit: 1 },
  redisKills: 1,
  apiKills: 1,
  cutFor: 3_000,
  partitions: 0,
  resets: 1,
  answersLost: 2,
};

/** `npm run chaos`. */
export const LONG: Plan = {
  seed: 1,
  cargo: { files: 1_500, bytes: 1_500 * MB, largest: 100 * MB },
  workers: 3,
  killEvery: 2_000,
  leastKills: { upload: 20, commit: 5 },
  redisKills: 3,
  apiKills: 2,
  cutFor: 20_000,
  partitions: 2,
  resets: 3,
  answersLost: 5,
};
