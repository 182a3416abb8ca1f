import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRgw, type TestRgw } from '#test/rgw.ts';
import { BREAKAGES, breakBuild } from './broken.ts';
import { SHORT } from './plans.ts';
import { printReport } from './report.ts';
import { runChaos } from './run.ts';

const WITHIN = 180_000;

describe.concurrent('chaos', () => {
  let rgw: TestRgw;
  beforeAll(async () => {
    rgw = await startRgw();
  });
  afterAll(() => rgw?.stop());

  it(
    'keeps every promise through faults that hit',
    async () => {
      const report = await runChaos(SHORT, { store: rgw.env, bucket: 'chaos' });
      expect(printReport(report)).toContain('Every promise was kept.');
    },
    WITHIN,
  );

  it.each(BREAKAGES)(
    'catches a build that $build',
    async (breakage) => {
      const { root, remove } = await breakBuild(breakage);
      const bucket = `chaos-${BREAKAGES.indexOf(breakage)}`;
      const report = await runChaos(breakage.plan, { store: rgw.env, bucket, root }).finally(remove);
      const { promise, by } = breakage.caught;
      const found = report.verdicts.find((verdict) => verdict.promise === promise);
      expect(found?.broken).toContainEqual(expect.stringMatching(by));
    },
    WITHIN,
  );
});
