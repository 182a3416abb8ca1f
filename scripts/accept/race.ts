import { randomBytes } from 'node:crypto';
import { createClient } from '#client/client.ts';
import { lastAcceptedIsCurrent } from '#test/race.ts';
import { startStack } from '#test/stack.ts';
import { until } from '#test/until.ts';
import { type Chapter, equal } from './figures.ts';

const ENTITY = { project: 'demo', session: 'race', scene: 'race' };
const PARTS = ['redis', 'convex', 'api', 'worker'] as const;

/** 20 clients upload one asset type of one scene at once; then every process is killed. */
export const race: Chapter = {
  name: 'race',
  command: '20 × POST /v1/uploads/files; kill -9 redis convex api worker',
  async run() {
    const stack = await startStack();
    try {
      const client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
      const uploads = Array.from({ length: 20 }, (_, index) =>
        client.uploadFile({ ...ENTITY, assetType: 'source_code', filename: `v${index}.py`, bytes: randomBytes(200) }),
      );
      const accepted = await Promise.all(uploads);
      await Promise.all(accepted.map(({ batchId }) => client.waitForBatch(batchId)));
      const history = async () => {
        const { assets } = await client.listAssets(ENTITY, { assetType: 'source_code', history: true, limit: 100 });
        return assets;
      };
      const before = await history();
      const lastIsCurrent = await lastAcceptedIsCurrent(stack, ENTITY, 'source_code');
      for (const part of PARTS) process.kill(await stack.pid(part), 'SIGKILL');
      await until(async () => !(await fetch(`${stack.apiUrl}/health/ready`)).ok, {
        within: 5_000,
        what: 'the stack to notice',
      }).catch(() => undefined);
      await until(async () => (await fetch(`${stack.apiUrl}/health/ready`)).ok, {
        within: 60_000,
        what: 'the stack to be back',
      });
      const after = await history();
      return [
        equal(
          'versions',
          before
            .map(({ version }) => version)
            .toReversed()
            .join(' '),
          Array.from({ length: 20 }, (_, i) => i + 1).join(' '),
        ),
        equal('current ones', before.filter(({ current }) => current).length, 1),
        equal('the one accepted last is current', String(lastIsCurrent), 'true'),
        equal('unchanged after kill -9 of all four', String(JSON.stringify(after) === JSON.stringify(before)), 'true'),
      ];
    } finally {
      await stack.remove();
    }
  },
};
