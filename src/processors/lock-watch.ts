import type { Worker } from 'bullmq';

/** Why a run is aborted; the run's signal carries one of them as its reason. */
export const PARKED = 'parked: the worker shuts down';
const LOCK_LOST = 'lost: the lock of the job is gone';

/**
 * A worker whose lock is gone learns nothing by itself. This cancels a job when its renewal failed, and,
 * should Redis not even answer, when its lock is older than `lockDuration` by `now`, a clock that never jumps.
 */
export function watchLocks(worker: Worker, lockDuration: number, now: () => number): { stop(): void } {
  const renewedAt = new Map<string, number>();
  worker.on('active', (job) => renewedAt.set(job.id ?? '', now()));
  worker.on('completed', (job) => renewedAt.delete(job.id ?? ''));
  worker.on('failed', (job) => renewedAt.delete(job?.id ?? ''));
  worker.on('locksRenewed', ({ jobIds }) => {
    for (const jobId of jobIds) renewedAt.set(jobId, now());
  });
  worker.on('lockRenewalFailed', (jobIds) => {
    for (const jobId of jobIds) cancel(jobId);
  });

  const cancel = (jobId: string) => {
    renewedAt.delete(jobId);
    worker.cancelJob(jobId, LOCK_LOST);
  };
  const timer = setInterval(() => {
    for (const [jobId, at] of renewedAt) if (now() - at > lockDuration) cancel(jobId);
  }, lockDuration / 10);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
