import { randomBytes } from 'node:crypto';
import { createClient } from '#client/client.ts';
import { commitMutations } from '#test/figures.ts';
import { startStack } from '#test/stack.ts';
import { atMost, type Chapter, equal, timed } from './figures.ts';

/** 1,000 files of 10 KB in one request. */
export const manySmall: Chapter = {
  name: 'many-small',
  command: 'POST /v1/uploads with 1,000 inline files of 10 KB',
  async run() {
    const stack = await startStack();
    try {
      const client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
      const files = Array.from({ length: 1_000 }, (_, index) => ({
        assetType: 'source_code' as const,
        filename: `part-${index}.py`,
        origin: { kind: 'inline' as const, base64: randomBytes(10_000).toString('base64') },
      }));
      const { seconds, answer } = await timed(async () => {
        const accepted = await client.uploadFiles({ project: 'demo', session: 'bulk', scene: 'bulk', files });
        return { accepted, batch: await client.waitForBatch(accepted.batchId) };
      });
      return [
        equal('files ready', answer.batch.successful.length, 1_000),
        atMost('packs', answer.accepted.jobs.length, 25, 'packs'),
        atMost('commit mutations', await commitMutations(stack), 40, 'mutations'),
        { what: 'from request to the last file ready', figure: `${seconds.toFixed(2)} s`, goal: '(none)', met: true },
      ];
    } finally {
      await stack.remove();
    }
  },
};
