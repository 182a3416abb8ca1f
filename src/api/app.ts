import express, { type Express, Router } from 'express';
import { adminDeadLetters } from './admin-dead-letters.ts';
import { adminReconcile } from './admin-reconcile.ts';
import { adminStatus } from './admin-status.ts';
import { assets } from './assets.ts';
import { authenticated, createAccess } from './auth.ts';
import { batches } from './batches.ts';
import { correlate } from './correlation.ts';
import { docs } from './docs.ts';
import { entities } from './entities.ts';
import { answerError, routeNotFound } from './errors.ts';
import { forms } from './forms.ts';
import { health } from './health.ts';
import { jobs } from './jobs.ts';
import { lists } from './lists.ts';
import { metricsPage } from './metrics-page.ts';
import { objects } from './objects.ts';
import { openApi } from './openapi.ts';
import type { ApiPorts } from './ports.ts';
import { queuesBoard } from './queues-board.ts';
import { staging } from './staging.ts';
import { statusPage } from './status-page.ts';
import { uploads } from './uploads.ts';
import { urls } from './urls.ts';

/** The HTTP API as a function of its ports. What it answers is in the contract; every error has one form. */
export function createApi(ports: ApiPorts): Express {
  const app = express();
  app.disable('x-powered-by').disable('etag').set('query parser', 'simple');
  app.use(correlate(ports.log), (_req, res, next) => {
    res.set({ 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-store' });
    next();
  });

  const open = Router();
  const ready = health(open, ports);
  metricsPage(open, ports);
  statusPage(open, ready);
  objects(open, ports);
  openApi(open);
  docs(open);
  app.use(open);
  app.use('/admin/queues', queuesBoard(ports));

  const access = createAccess(ports);
  const v1 = Router();
  v1.use('/v1', authenticated(access));
  uploads(v1, ports, access);
  staging(v1, ports, access);
  forms(v1, ports, access);
  batches(v1, ports, access);
  jobs(v1, ports, access);
  urls(v1, ports, access);
  assets(v1, ports, access);
  lists(v1, ports, access);
  entities(v1, ports, access);
  adminDeadLetters(v1, ports, access);
  adminReconcile(v1, ports, access);
  adminStatus(v1, ports, access, ready);
  app.use(v1);

  app.use(routeNotFound, answerError);
  return app;
}
