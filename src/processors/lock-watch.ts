import type { Worker } from 'bullmq';
import { Interrupted } from './run.ts';

/** Watches the locks of the jobs that run. A worker whose lock is gone learns nothing by itself. */
interface LockWatch {
  /** Begins to watch a job that was taken just now. The signal is aborted with `Interrupted` once its lock is gone. */
  hold(jobId: string): AbortSignal;
  letGo(jobId: string): void;
  stop(): void;
}

/**
 * A lock is gone when its renewal failed, or, should Redis not even answer, when it is older than `lockDuration` by
 * `now`, a clock in milliseconds that never jumps.
 */
export function watchLocks(worker: Worker, lockDuration: number, now: () => number): LockWatch {
  const held = new Map<string, { renewedAt: number; readonly gone: AbortController }>();
  const lose = (jobId: string, why: Interrupted['why']) => {
    held.get(jobId)?.gone.abort(new Interrupted(why));
    held.delete(jobId);
  };
  worker.on('locksRenewed', ({ jobIds }) => {
    for (const jobId of jobIds) {
      const lock = held.get(jobId);
      if (lock) lock.renewedAt = now();
    }
  });
  worker.on('lockRenewalFailed', (jobIds) => {
    for (const jobId of jobIds) lose(jobId, 'lost');
  });

  let lookedAt = now();
  const look = () => {
    // It was this process that stood still then, and not Redis.
    const stoodStill = now() - lookedAt > lockDuration / 2;
    lookedAt = now();
    for (const [jobId, { renewedAt }] of held) {
      if (lookedAt - renewedAt > lockDuration) lose(jobId, stoodStill ? 'lost' : 'cut off');
    }
  };
  const timer = setInterval(look, lockDuration / 10);
  timer.unref();
  return {
    hold(jobId) {
      const gone = new AbortController();
      held.set(jobId, { renewedAt: now(), gone });
      return gone.signal;
    },
    letGo: (jobId) => void held.delete(jobId),
    stop: () => clearInterval(timer),
  };
}
