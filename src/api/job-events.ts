import { once } from 'node:events';
import type { RequestHandler } from 'express';
import { AppError } from '#errors';
import { type Access, callerOf } from './auth.ts';
import { type StreamEvent, sawEnd, streamJob } from './job-stream.ts';
import { parse } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { jobParams } from './schemas.ts';

/** Bounds of the streams of one process. */
export interface StreamLimits {
  /** Streams that are open at once. */
  readonly streams: number;
  /** A reader hears something at least this often, in milliseconds: proxies cut what is silent. */
  readonly heartbeatMs: number;
}

const LIMITS: StreamLimits = { streams: 500, heartbeatMs: 15_000 };
/** A reader that was cut off connects again after this long, in milliseconds. */
const RETRY_MS = 2_000;

/**
 * `GET /v1/jobs/:jobId/events`: the job now, its changes and its end, as server-sent events. A reader that comes back
 * with `Last-Event-ID` is told what it has not seen, and with 204 that there is nothing more.
 */
export function jobEvents(
  { producer, closing }: Pick<ApiPorts, 'producer' | 'closing'>,
  access: Access,
  limits: StreamLimits = LIMITS,
): RequestHandler {
  let open = 0;
  return async (req, res) => {
    const { jobId } = parse(jobParams, req.params);
    if (open >= limits.streams) throw tooMany(open);
    open += 1;
    const gone = new AbortController();
    res.once('close', () => {
      open -= 1;
      gone.abort();
    });

    const job = await producer.getJob(jobId);
    if (!job || !(await access.allows(callerOf(res), 'assets:read', job.project))) {
      throw new AppError('NOT_FOUND', `There is no job ${jobId}.`);
    }
    const lastEventId = req.get('last-event-id');
    if (sawEnd(job, lastEventId)) {
      res.status(204).end();
      return;
    }
    res.set({ 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' });
    if (req.method === 'HEAD') {
      res.end();
      return;
    }
    const signal = AbortSignal.any([gone.signal, closing]);
    res.write(`retry: ${RETRY_MS}\n\n`);
    for await (const event of streamJob(jobId, { producer, lastEventId, heartbeatMs: limits.heartbeatMs, signal })) {
      if (!res.write(textOf(event)) && !gone.signal.aborted) {
        await once(res, 'drain', { signal: gone.signal }).catch(() => undefined);
      }
    }
    res.end();
  };
}

/** An event as it travels; a heartbeat is a comment. */
function textOf(event: StreamEvent | undefined): string {
  if (!event) return ':\n\n';
  const id = event.id === undefined ? '' : `id: ${event.id}\n`;
  return `${id}event: ${event.event}\ndata: ${JSON.stringify(event.data)}\n\n`;
}

function tooMany(open: number): AppError {
  const nextAction = 'Ask GET /v1/jobs/:jobId now and then instead, or open the stream again after Retry-After.';
  return new AppError('QUEUE_UNAVAILABLE', `This process has ${open} streams open, and no more may be.`, {
    nextAction,
  });
}
