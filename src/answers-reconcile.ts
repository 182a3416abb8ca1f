import { z } from 'zod';
import { time } from './answers-fields.ts';

const count = (what: string) => z.int().min(0).describe(what);

const findings = z.object({
  found: count('How many there were.'),
  repaired: z
    .record(z.string(), z.int())
    .describe('What was done about them: `adopted`, `quarantined`, `marked`, `deleted` and others, with how often.'),
  failed: count('Repairs that failed; the next run finds the same again.'),
  held: count('Not mended since there were so many: asked for with `force`, they are.'),
  examples: z
    .array(
      z.object({
        subject: z.string().describe('A key, or the id of a session or batch.'),
        assetId: z.string().optional(),
        detail: z.string().describe('What is wrong.'),
        error: z.object({ code: z.string(), message: z.string() }).optional().describe('Why its repair failed.'),
      }),
    )
    .describe('The first of them, 100 at the most.'),
});

/** Answers `POST /v1/admin/reconcile`, and `GET` of it and of `/v1/admin/reconcile/{id}`. */
export const reconcileReport = z
  .object({
    jobId: z.string(),
    state: z.enum(['waiting', 'running', 'done', 'failed']).describe('One runs at a time; others wait for it.'),
    prefix: z.string().describe('Begin of the keys that it is about; all when empty.'),
    repair: z.boolean(),
    force: z.boolean().describe('Whether it mends what is held back otherwise.'),
    requestedBy: z.string().describe('Id of the key that asked for it, or `schedule`.'),
    requestedAt: time('When it was asked for.'),
    startedAt: time('When it began.').optional(),
    finishedAt: time('When it was over.').optional(),
    error: z.object({ code: z.string(), message: z.string() }).optional().describe('Why it failed.'),
    scanned: z.record(z.string(), z.int()).describe('What was looked at so far: `objects`, `rows` and others.'),
    classes: z.record(z.string(), findings).describe('By class, as docs/reconciliation.md names them.'),
  })
  .meta({ id: 'ReconcileReport', description: 'What differs between store, Convex and Redis, and what was done.' });
export type ReconcileReport = z.infer<typeof reconcileReport>;
