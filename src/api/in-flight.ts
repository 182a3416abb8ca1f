import type { RequestHandler } from 'express';
import type { ApiPorts } from './ports.ts';

/** Counts a request among the operations that run now, until its answer is out or its caller gone. */
export function inFlight({ metrics }: Pick<ApiPorts, 'metrics'>, operation: string): RequestHandler {
  return (_req, res, next) => {
    metrics.operations.inc({ operation });
    res.once('close', () => metrics.operations.dec({ operation }));
    next();
  };
}
