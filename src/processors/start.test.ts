import { afterAll, beforeAll, test } from 'vitest';
import { until } from '#test/until.ts';
import { openWorkerParts, type WorkerParts } from '#test/worker-parts.ts';
import { startWorker } from './start.ts';

let parts: WorkerParts;
beforeAll(async () => {
  parts = await openWorkerParts();
});
afterAll(() => parts.remove());

test('a worker brings the audit to Convex', async () => {
  const deed = { actor: { kind: 'service', id: 'test' }, action: 'test', target: 't', correlationId: 'c' } as const;
  const worker = await startWorker(parts, parts.config);
  await parts.audit.record(deed);
  await until(async () => (await parts.audit.size()) === 0, { within: 10_000, what: 'the audit to be sent' });
  await worker.close();
});
