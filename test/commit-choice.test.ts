import { afterAll, beforeAll, expect, it } from 'vitest';
import { readConfig } from '#config';
import type { Pack } from '#queues/catalog.ts';
import { startApi, type TestApi } from './api.ts';

let api: TestApi;

beforeAll(async () => {
  const { commit } = readConfig({ S3_UPLOAD_ON_WRITE: 'false' });
  api = await startApi({ commit });
});
afterAll(() => api.close());

it('S3_UPLOAD_ON_WRITE is written into each pack, so that a deploy changes no batch that is under way', async () => {
  const file = { assetType: 'source_code', filename: 'main.py', origin: { kind: 'inline', text: 'pass' } };
  const answer = await api.post('/v1/uploads', { project: 'p', session: 's', scene: 'c', files: [file] });
  const { jobs } = (await answer.json()) as { jobs: { jobId: string }[] };
  const job = await api.producer.lanes.small.getJob(jobs[0]?.jobId ?? '');
  expect((job?.data as Pack | undefined)?.commit).toBe('batch');
  expect(readConfig({}).commit).toBe('each');
});
