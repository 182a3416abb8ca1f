import type { RequestHandler, Router } from 'express';
import { AppError } from '#errors';
import { type Access, callerOf, scopedEverywhere } from './auth.ts';
import { correlationIdOf } from './correlation.ts';
import { jsonBody, parse } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { reconcileBody, reconcileParams } from './schemas-reconcile.ts';

/** `/v1/admin/reconcile`: what differs between store, Convex and Redis; to be told, or brought in order. */
export function adminReconcile(router: Router, ports: ApiPorts, access: Access): void {
  const { producer, audit, clock } = ports;
  const admin = scopedEverywhere(access, 'admin');
  const post: RequestHandler = async (req, res) => {
    const { prefix, repair, force } = parse(reconcileBody, req.body);
    const { kind, id } = callerOf(res);
    // Before the deed: whoever asks for it twice has two of them.
    await audit.record({
      actor: { kind, id },
      action: 'reconcile.start',
      target: prefix === '' ? 'everything' : prefix,
      details: { prefix, repair, force },
      correlationId: correlationIdOf(res),
    });
    const report = await producer.reconciles.start({ prefix, repair, force, requestedBy: id, requestedAt: clock() });
    res.status(202).json(report);
  };
  const latest: RequestHandler = async (_req, res) => {
    const report = await producer.reconciles.latest();
    if (!report) throw new AppError('NOT_FOUND', 'Nobody has asked for a reconciliation in the last 30 days.');
    res.json(report);
  };
  const get: RequestHandler = async (req, res) => {
    const { jobId } = parse(reconcileParams, req.params);
    const report = await producer.reconciles.get(jobId);
    if (!report) throw new AppError('NOT_FOUND', `There is no reconciliation ${jobId}, or it is older than 30 days.`);
    res.json(report);
  };
  resource(router, '/v1/admin/reconcile', { get: [admin, latest], post: [admin, ...jsonBody, post] });
  resource(router, '/v1/admin/reconcile/:jobId', { get: [admin, get] });
}
