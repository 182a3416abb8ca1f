import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type { BeforeHook } from '@bull-board/api/typings/app';
import { ExpressAdapter } from '@bull-board/express';
import { Router } from 'express';
import { toAppError } from '#errors';
import { adminLogin } from './admin-login.ts';
import { correlationIdOf } from './correlation.ts';
import type { ApiPorts } from './ports.ts';
import { redact } from './redaction.ts';

const PATH = '/admin/queues';
const CORRELATION = 'x-correlation-id';

/**
 * What may be changed here, and the name of the deed in the audit. Job data is immutable, and a failed job is the only
 * trace of its files: neither edits nor removals.
 */
const WRITES = new Map([
  ['/api/queues/:queueName/:jobId/retry', 'jobs.retry'],
  ['/api/queues/:queueName/:jobId/promote', 'jobs.promote'],
  ['/api/queues/:queueName/pause', 'queues.pause'],
  ['/api/queues/:queueName/resume', 'queues.resume'],
]);

/** Bull Board behind the admin's login: it has no login, no CSRF check and no CSP of its own. */
export function queuesBoard({ producer, config, audit }: Pick<ApiPorts, 'producer' | 'config' | 'audit'>): Router {
  const serverAdapter = new ExpressAdapter();
  serverAdapter.setBasePath(PATH);
  const queues = Object.values(producer.lanes).map((queue) => new ReplayingAdapter(queue));
  const before: BeforeHook = async ({ method, route, request: { params, headers } }) => {
    if (method === 'get') return { allow: true };
    const action = WRITES.get(route);
    if (action === undefined) return { allow: false, status: 403, message: 'Closed here.' };
    await audit.record({
      actor: { kind: 'admin', id: config.admin.user },
      action,
      target: params.jobId ?? params.queueName,
      details: params,
      correlationId: headers[CORRELATION] ?? '',
    });
    return { allow: true };
  };
  createBullBoard({
    queues,
    serverAdapter,
    options: {
      uiConfig: { boardTitle: 'Reelay', hideDocsLink: true },
      handlerHooks: {
        before,
        after: (_context, { status, body }) => ({ ...(status && { status }), body: redact(body) as typeof body }),
      },
    },
  });
  // What a handler throws does not come by the hooks.
  serverAdapter.setErrorHandler((error) => {
    const { code, message } = toAppError(error);
    return { status: 500, body: { error: redact(`${code}: ${message}`) as string } };
  });
  const router = Router();
  router.use(adminLogin(config.admin), (req, res, next) => {
    res.set('Content-Security-Policy', BOARD_POLICY);
    // The board's hooks see nothing but the request.
    req.headers[CORRELATION] = correlationIdOf(res);
    next();
  });
  router.use(serverAdapter.getRouter());
  return router;
}

/** Its retry of a failed job is a replay, with all attempts. */
class ReplayingAdapter extends BullMQAdapter {
  override async getJob(id: string) {
    const job = await super.getJob(id);
    if (!job) return undefined;
    const retry = job.retry.bind(job);
    job.retry = (state) => retry(state, { resetAttemptsMade: state === 'failed' });
    return job;
  }
}

/** The board's page has inline scripts and styles; it may load and call nothing but this host, nor be framed. */
const BOARD_POLICY =
  "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
