import { randomUUID } from 'node:crypto';
import type { RequestHandler, Response } from 'express';
import type { Logger } from '#log';

/** Asked every few seconds by machines. */
const POLLED = /^\/(health|metrics)\b/;
const SANE = /^[\w.:-]{1,128}$/;

/**
 * Gives each request its correlation id, the caller's own when it is a sane one: it is echoed, logged, and
 * travels in the job and the row. Logs one line when the answer is out.
 */
export function correlate(log: Logger): RequestHandler {
  return (req, res, next) => {
    const asked = req.get('x-correlation-id');
    const correlationId = asked && SANE.test(asked) ? asked : randomUUID();
    const started = performance.now();
    res.locals.correlationId = correlationId;
    res.locals.log = log.child({ correlationId });
    res.set('X-Correlation-Id', correlationId);
    res.once('close', () => {
      const ms = Math.round(performance.now() - started);
      const line = { method: req.method, path: req.path, status: res.statusCode, ms, whole: res.writableFinished };
      logOf(res)[POLLED.test(req.path) ? 'debug' : 'info'](line, 'request');
    });
    next();
  };
}

export function correlationIdOf(res: Response): string {
  return res.locals.correlationId as string;
}

/** The request's own logger: every line carries the correlation id. */
export function logOf(res: Response): Logger {
  return res.locals.log as Logger;
}
