import { once } from 'node:events';
import type { Request, RequestHandler } from 'express';
import { AppError } from '#errors';
import { type Access, type Caller, callerOf } from './auth.ts';
import { type StreamEvent, sawEnd, streamJob } from './job-stream.ts';
import { parse } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { jobParams } from './schemas.ts';

/** Bounds of the streams of one process. */
export interface StreamLimits {
  /** Streams that are open at once. */
  readonly streams: number;
  /** Streams of one caller among them, so that nobody takes them all. */
  readonly perCaller: number;
  /** A reader hears something at least this often, in milliseconds: proxies cut what is silent. */
  readonly heartbeatMs: number;
}

const LIMITS: StreamLimits = { streams: 500, perCaller: 50, heartbeatMs: 15_000 };
/** A reader that was cut off connects again after this long, in milliseconds. */
const RETRY_MS = 2_000;

/**
 * `GET /v1/jobs/:jobId/events`: the job now, its changes and its end, as server-sent events. A reader that comes back
 * with `Last-Event-ID` is told what it has not seen, and with 204 that there is nothing more. A stream ends when its
 * caller may not read the job any more, which is asked at each heartbeat.
 */
export function jobEvents(
  { producer, closing, clock }: Pick<ApiPorts, 'producer' | 'closing' | 'clock'>,
  access: Access,
  limits: StreamLimits = LIMITS,
): RequestHandler {
  const places = createPlaces(limits);
  return async (req, res) => {
    const { jobId } = parse(jobParams, req.params);
    // A reader that left before it was known who it is: its place would never be given back.
    if (res.closed) return;
    const leave = places.take(callerOf(res));
    const gone = new AbortController();
    res.once('close', () => {
      leave();
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
    let allowedAt = clock();
    for await (const event of streamJob(jobId, { producer, lastEventId, heartbeatMs: limits.heartbeatMs, signal })) {
      if (clock() - allowedAt >= limits.heartbeatMs) {
        if (!(await stillAllows(access, req, job.project))) break;
        allowedAt = clock();
      }
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

/** A key may have expired or been revoked since, or a membership ended. False too while nobody can tell: asked anew, we say why. */
async function stillAllows(access: Access, req: Request, project: string): Promise<boolean> {
  try {
    return await access.allows(await access.authenticate(req.get('authorization')), 'assets:read', project);
  } catch {
    return false;
  }
}

/** The streams that are open; `take` throws `QUEUE_UNAVAILABLE` when there are too many, and gives what frees the place. */
function createPlaces(limits: StreamLimits): { take(caller: Caller): () => void } {
  const open = new Map<string, number>();
  let total = 0;
  return {
    take({ kind, id }) {
      const name = `${kind}:${id}`;
      const own = open.get(name) ?? 0;
      if (total >= limits.streams) throw tooMany(`This process has ${total} streams open, and no more may be.`);
      if (own >= limits.perCaller) throw tooMany(`The caller has ${own} streams open here, and no more may be.`);
      total += 1;
      open.set(name, own + 1);
      return () => {
        total -= 1;
        const left = (open.get(name) ?? 1) - 1;
        if (left > 0) open.set(name, left);
        else open.delete(name);
      };
    },
  };
}

function tooMany(message: string): AppError {
  const nextAction =
    'Ask GET /v1/jobs/:jobId now and then instead, or close a stream and open this one after Retry-After.';
  return new AppError('QUEUE_UNAVAILABLE', message, { nextAction });
}
