import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { BeforeHook } from '@bull-board/api/typings/app';
import { ExpressAdapter } from '@bull-board/express';
import { Router } from 'express';
import { adminLogin } from './admin-login.ts';
import type { ApiPorts } from './ports.ts';

const PATH = '/admin/queues';

/**
 * What may be changed here. Job data is immutable, and a failed job is the only trace of its files: neither
 * edits nor removals.
 */
const WRITES = new Set([
  '/api/queues/:queueName/:jobId/retry',
  '/api/queues/:queueName/:jobId/promote',
  '/api/queues/:queueName/pause',
  '/api/queues/:queueName/resume',
]);

/** Bull Board behind the admin's login: it has no login, no CSRF check and no CSP of its own. */
export function queuesBoard({ producer, config }: ApiPorts): Router {
  const serverAdapter = new ExpressAdapter();
  serverAdapter.setBasePath(PATH);
  const queues = Object.values(producer.lanes).map((queue) => new BullMQAdapter(queue));
  const before: BeforeHook = ({ method, route }) =>
    method === 'get' || WRITES.has(route) ? { allow: true } : { allow: false, status: 403, message: 'Closed here.' };
  createBullBoard({
    queues,
    serverAdapter,
    options: {
      uiConfig: { boardTitle: 'Reelay', hideDocsLink: true },
      handlerHooks: {
        before,
        after: (_context, { status, body }) => ({ ...(status && { status }), body: hide(body) as typeof body }),
      },
    },
  });
  const router = Router();
  router.use(adminLogin(config.admin), (_req, res, next) => {
    res.set('Content-Security-Policy', BOARD_POLICY);
    next();
  });
  router.use(serverAdapter.getRouter());
  return router;
}

/** The board's page has inline scripts and styles; it may load and call nothing but this host, nor be framed. */
const BOARD_POLICY =
  "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/** A URL's query may be its permission, and a caller's metadata is not the admin's business: in data, errors and logs. */
function hide(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(/(https?:\/\/[^\s"'?]+)\?[^\s"']*/g, '$1?[hidden]');
  if (Array.isArray(value)) return value.map(hide);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, key === 'metadata' ? '[hidden]' : hide(inner)]),
  );
}
