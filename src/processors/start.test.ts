import { ConvexHttpClient } from 'convex/browser';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { api } from '#convex/_generated/api.js';
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
  const convex = new ConvexHttpClient(parts.engine.url, { logger: false });
  convex.setAuth(await parts.engine.token());
  const { page } = await convex.query(api.audit.list, { paginationOpts: { numItems: 10, cursor: null } });
  expect(page).toMatchObject([deed]);
  await worker.close();
});
