/** A file as it arrived. */
export interface Received {
  readonly assetId: string;
  readonly batchId: string;
  readonly filename: string;
  readonly contentType: string | undefined;
  readonly size: number;
  readonly checksum: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What the stand-in API answers about the files it `received`, a list that grows. */
export function createStandInViews(received: readonly Received[]) {
  const asked = new Set<string>();

  function urlsOf(assetIds: readonly string[]) {
    return assetIds.map((assetId) => {
      const file = received.find((one) => one.assetId === assetId);
      if (!file) return { assetId, error: notFound };
      if (file.filename.includes('corrupt')) return { assetId, error: { ...notFound, code: 'CONFLICT' } };
      return { assetId, url: `https://cdn.example/${file.filename}`, expiresAt: 2, servedFrom: 'convex' };
    });
  }

  function batchOf(batchId: string) {
    const files = received.filter((file) => file.batchId === batchId);
    const failed = files.filter((file) => file.filename.includes('corrupt'));
    const done = asked.has(batchId);
    asked.add(batchId);
    return {
      batchId,
      state: done ? 'done' : 'running',
      total: files.length,
      ...{ project: 'demo', owner: 'k_1' },
      successful: done ? files.filter((file) => !failed.includes(file)).map((file) => file.assetId) : [],
      failed: done ? failed.map(({ assetId }) => ({ assetId, error: storeRejected })) : [],
      size: files.reduce((sum, file) => sum + file.size, 0),
      createdAt: 1,
    };
  }

  function jobOf(batchId: string) {
    const failed = received.some((file) => file.batchId === batchId && file.filename.includes('corrupt'));
    const files = received.filter((file) => file.batchId === batchId);
    return {
      jobId: `${batchId}-0`,
      batchId,
      project: 'demo',
      lane: 'small',
      state: failed ? 'failed' : 'completed',
      progress: 1,
      attempts: failed ? 3 : 1,
      maxAttempts: 3,
      ...(failed && { error: storeRejected }),
      files: files.map(({ assetId, filename }) => ({ assetId, filename })),
    };
  }

  function read(path: string, query: URLSearchParams): unknown {
    const [, , room, id = '', leaf] = path.split('/');
    const ids = [...new Set(received.map((file) => file.batchId))];
    if (path === '/health/ready') return { ready: true, degraded: ['metadata'] };
    if (room === 'batches' && ids.includes(id)) return batchOf(id);
    if (room === 'jobs' && id !== '' && ids.includes(id.replace(/-0$/, '')) && id.endsWith('-0')) {
      return jobOf(id.replace(/-0$/, ''));
    }
    if (path === '/v1/jobs') return { jobs: ids.map(jobOf).filter((job) => job.state === query.get('state')) };
    const index = received.findIndex((file) => file.assetId === id);
    const file = received[index];
    if (room !== 'assets' || !file) return undefined;
    if (leaf === 'url')
      return { url: `https://cdn.example/${file.filename}?${query}`, expiresAt: 2, servedFrom: 'convex' };
    const { assetId, filename, contentType, size, checksum } = file;
    return {
      ...{ assetId, filename, contentType, size, checksum, status: 'ready', progress: 1, current: true },
      ...{
        project: 'demo',
        session: 's1',
        assetType: 'video_chunk',
        visibility: 'private',
        version: index + 1,
        ...{ attempt: 1, maxAttempts: 3, s3Key: `projects/demo/${assetId}`, renditions: { status: 'none' } },
        ...{ metadata: {}, batchId: file.batchId, correlationId: 'c_1', createdAt: 1 },
        somethingNew: true,
      },
    };
  }

  return { urlsOf, jobOf, read };
}

const fact = (code: string, message: string, retryable: boolean, nextAction: string) => ({
  ...{ code, message, retryable, nextAction, details: {}, correlationId: 'c_1' },
});
/** For a key that is not known. */
export const unauthenticated = fact(
  'UNAUTHENTICATED',
  'The key is not known.',
  false,
  'Send Authorization: Bearer <API key>.',
);
/** For what was never sent. */
export const notFound = fact('NOT_FOUND', 'There is no such thing.', false, 'Check the id.');
/** For another body under a known idempotency key. */
export const mismatch = fact('IDEMPOTENCY_MISMATCH', 'The key was used for another request.', false, 'Use a new key.');
const storeRejected = fact('STORE_REJECTED', 'The store said no.', false, 'Read what it said.');
