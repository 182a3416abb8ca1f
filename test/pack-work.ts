import type { FileOrigin } from '#queues/catalog.ts';
import { assetIdOf, newBatchId } from '#queues/ids.ts';
import type { AcceptedBatch, AcceptRequest, BatchView, JobView, PlannedPack } from '#queues/producer.ts';
import { sha256 } from './sources.ts';
import { until } from './until.ts';
import type { WorkerParts } from './worker-parts.ts';

export type PlannedFile = PlannedPack['files'][number];

/** A file of the scene, as intake plans it. */
export function someFile(origin: FileOrigin, own: Partial<PlannedFile> = {}): PlannedFile {
  const assetId = assetIdOf(newBatchId(), 0);
  return {
    assetId,
    assetType: 'source_code',
    filename: 'main.py',
    contentType: 'text/x-python',
    s3Key: `projects/p/sessions/s/scenes/c/source_code/${assetId}/main.py`,
    visibility: 'private',
    metadata: {},
    origin,
    ...own,
  };
}

/** Packs given to a worker's parts, and what becomes of them. */
export function packWork(parts: Pick<WorkerParts, 'producer' | 'metadata' | 'stage'>) {
  const { producer, metadata } = parts;
  const request = { entity: { project: 'p', session: 's', scene: 'c' }, correlationId: 'corr', createdBy: 'key' };
  return {
    request,
    accept(packs: readonly PlannedPack[], own: Partial<AcceptRequest> = {}): Promise<AcceptedBatch> {
      return producer.accept({ batchId: newBatchId(), ...request, packs, createdAt: Date.now(), ...own });
    },
    /** Files of one staged object, one after the other. */
    async staged(texts: readonly string[]): Promise<{ key: string; files: PlannedFile[] }> {
      const key = `staging/${newBatchId()}/pack-0`;
      await parts.stage(key, Buffer.from(texts.join('')));
      let offset = 0;
      const files = texts.map((text) => {
        const slice = { offset, length: text.length };
        offset += text.length;
        return someFile({ kind: 'staged', key, slice }, { size: text.length, checksum: sha256(Buffer.from(text)) });
      });
      return { key, files };
    },
    rowOf: async (assetId: string | undefined) => (await metadata.getAssets([assetId ?? '']))[0],
    whenDone: (batchId: string): Promise<BatchView> =>
      until(
        async () => {
          const batch = await producer.getBatch(batchId);
          return batch?.state === 'done' ? batch : undefined;
        },
        { within: 25_000, what: 'the batch to be done' },
      ),
    whenJob: (jobId: string | undefined, state: JobView['state']): Promise<JobView> =>
      until(
        async () => {
          const view = await producer.getJob(jobId ?? '');
          return view?.state === state ? view : undefined;
        },
        { within: 25_000, what: `the job to be ${state}` },
      ),
    whenRow: (assetId: string | undefined, status: 'error' | 'ready') =>
      until(
        async () => {
          const [row] = await metadata.getAssets([assetId ?? '']);
          return row?.status === status ? row : undefined;
        },
        { within: 10_000, what: `the row to be ${status}` },
      ),
  };
}
