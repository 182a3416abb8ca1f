import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError, toAppError } from '#errors';
import type { JobView, Producer } from '#queues/producer.ts';

/** One event of a stream, in the words of server-sent events. */
export interface StreamEvent {
  /** `job` when something is new, `end` as the last one, `unavailable` when Redis is away: connect again then. */
  readonly event: 'job' | 'end' | 'unavailable';
  readonly id?: string;
  readonly data: unknown;
}

interface StreamOptions {
  readonly producer: Pick<Producer, 'getJob' | 'watchJob'>;
  /** What the reader saw last, by the id of its event. */
  readonly lastEventId?: string | undefined;
  /** A reader hears something at least this often, in milliseconds. */
  readonly heartbeatMs: number;
  /** Aborted when the reader is gone, or nobody may read any more. */
  readonly signal: AbortSignal;
}

/** A job that changes without pause is shown this often, in milliseconds. */
const PACE = 100;
const END = 'end-';

/** True when the reader has seen the end of this very job: there will be nothing more. */
export function sawEnd(job: JobView, lastEventId: string | undefined): boolean {
  return isOver(job) && lastEventId === END + fingerprint(job);
}

/**
 * A job as it is, then as it changes, and its end. Yields undefined for a heartbeat: the job is read then all the
 * same, should news of it have been lost. Starts with `job` when the reader has not seen it like this.
 */
export async function* streamJob(jobId: string, options: StreamOptions): AsyncGenerator<StreamEvent | undefined> {
  const { producer, heartbeatMs, signal } = options;
  let seen = options.lastEventId;
  let wake = Promise.withResolvers<void>();
  const stop = await producer.watchJob(jobId, () => wake.resolve());
  try {
    while (!signal.aborted) {
      wake = Promise.withResolvers();
      const job = await producer.getJob(jobId);
      if (!job) {
        yield { event: 'end', id: `${END}gone`, data: goneError(jobId).toFacts() };
        return;
      }
      const id = fingerprint(job);
      if (id !== seen) yield { event: 'job', id, data: job };
      else yield undefined;
      seen = id;
      if (isOver(job)) {
        yield { event: 'end', id: END + id, data: job };
        return;
      }
      await pause(PACE, undefined, { signal });
      await awaken(wake.promise, heartbeatMs, signal);
    }
  } catch (thrown) {
    if (signal.aborted) return;
    yield { event: 'unavailable', data: toAppError(thrown).toFacts() };
  } finally {
    stop();
  }
}

async function awaken(news: Promise<void>, atMostMs: number, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const waiting = pause(atMostMs, undefined, { signal: AbortSignal.any([signal, over.signal]) });
  await Promise.race([news, waiting]).finally(() => over.abort());
  waiting.catch(() => undefined);
}

function isOver({ state }: JobView): boolean {
  return state === 'completed' || state === 'failed';
}

/** The same for two views that are alike, in whatever process. */
function fingerprint(job: JobView): string {
  return createHash('sha256').update(JSON.stringify(job)).digest('base64url').slice(0, 16);
}

function goneError(jobId: string): AppError {
  return new AppError('NOT_FOUND', `There is no job ${jobId} any more.`);
}
