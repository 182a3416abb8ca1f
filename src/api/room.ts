import type { RequestHandler } from 'express';
import type { ApiPorts } from './ports.ts';

/** Lets a request in only while more work may wait, before anything of it is read; else it throws `BACKLOG_FULL`. */
export function roomed({ producer }: Pick<ApiPorts, 'producer'>): RequestHandler {
  return async (_req, _res, next) => {
    await producer.requireRoom();
    next();
  };
}
