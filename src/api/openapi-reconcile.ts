import { type ReconcileReport, reconcileReport } from '#answers';
import { FINDING_CLASSES, newReport } from '#queues/reconcile-reports.ts';
import { JSON_ERRORS, json, jsonBodyOf, type Routes } from './openapi-operation.ts';
import { reconcileBody, reconcileParams } from './schemas-reconcile.ts';

const requestedAt = 1_795_176_419_000;
const order = { prefix: 'projects/demo/', repair: true, force: false, requestedBy: 'k_admin', requestedAt };
const WAITING: ReconcileReport = reconcileReport.parse(newReport('r_q1W0dXb2kYzZk3oP9sQv', order));
const DONE: ReconcileReport = {
  ...WAITING,
  ...{ state: 'done', startedAt: requestedAt + 20, finishedAt: requestedAt + 9_000 },
  scanned: { ...WAITING.scanned, objects: 12_000, rows: 12_001 },
  classes: {
    ...WAITING.classes,
    'missing-object': {
      ...{ found: 1, repaired: { marked: 1 }, failed: 0, held: 0 },
      examples: [
        {
          subject: 'projects/demo/sessions/s1/scenes/scene-1/video_chunk/a_mmY7n7yTC3B2Mzvu1Ezz/clip.mp4',
          assetId: 'a_mmY7n7yTC3B2Mzvu1Ezz',
          detail: 'The row is ready, and the store has no such object.',
        },
      ],
    },
  },
};
const errors = ['VALIDATION_FAILED', 'QUEUE_UNAVAILABLE'] as const;

/** What differs between store, Convex and Redis. */
export const reconcileRoutes: Routes = {
  'POST /v1/admin/reconcile': {
    id: 'reconcile',
    summary: 'Compare store, Convex and Redis, and bring in order what differs',
    description: `A job goes through them and says what it found by class: ${FINDING_CLASSES.map((name) => `\`${name}\``).join(', ')}. One runs at a time. It touches nothing that is younger than an hour, nor what a job works on. A class of which more than 100 and a tenth of all was found is held back unless \`force\` is true. The audit keeps who asked, and each repair.`,
    scope: 'admin',
    body: jsonBodyOf(reconcileBody, {
      'only tell': {},
      'mend one project': { prefix: 'projects/demo/', repair: true },
    }),
    answers: { 202: json('A worker does it; its report as it is now.', reconcileReport, WAITING) },
    errors: [...errors, ...JSON_ERRORS],
  },
  'GET /v1/admin/reconcile': {
    id: 'getLatestReconcile',
    summary: 'The report of the latest reconciliation',
    scope: 'admin',
    answers: { 200: json('The report, so far.', reconcileReport, DONE) },
    errors: ['NOT_FOUND', 'QUEUE_UNAVAILABLE'],
  },
  'GET /v1/admin/reconcile/:jobId': {
    id: 'getReconcile',
    summary: 'The report of a reconciliation',
    description: 'It is kept for 30 days.',
    scope: 'admin',
    params: reconcileParams,
    answers: { 200: json('The report, so far.', reconcileReport, DONE) },
    errors: [...errors, 'NOT_FOUND'],
  },
};
