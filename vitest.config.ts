import { defineConfig } from 'vitest/config';

/** `npm test` runs project `base`; what needs apt packages beyond redis-server and ffmpeg is project `more`. */
const heavy = [
  'test/chaos/**/*.test.ts',
  'test/redis/**/*.test.ts',
  'test/python/**/*.test.ts',
  'test/outages/**/*.test.ts',
  'test/rgw/**/*.test.ts',
  'test/browser/**/*.test.ts',
  'test/docs/**/*.test.ts',
  'test/containers/**/*.test.ts',
];

export default defineConfig({
  test: {
    // Most tests wait for servers, not for a core.
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'base',
          include: ['{src,convex,local,test,scripts}/**/*.test.{ts,tsx}'],
          exclude: heavy,
        },
      },
      // Ceph comes up in a hook, which on a busy machine takes minutes.
      { extends: true, test: { name: 'more', include: heavy, hookTimeout: 180_000 } },
    ],
  },
});
