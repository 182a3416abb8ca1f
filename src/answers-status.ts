import { z } from 'zod';
import { JOB_STATES, lane, time } from './answers-fields.ts';

/** Answers `GET /health/ready`, with 200 and with 503. */
export const health = z
  .object({
    ready: z.boolean().describe('True while the API and a worker serve.'),
    degraded: z
      .array(z.enum(['store', 'metadata']))
      .optional()
      .describe('What is away while intake works; absent when nothing is.'),
    missing: z
      .array(z.enum(['queue', 'worker']))
      .optional()
      .describe('What keeps the whole from serving; absent when nothing does.'),
  })
  .meta({ id: 'Health', description: 'Whether uploads are carried out now, and what is away.' });
/** Answers `GET /health/live`. */
export const live = z.object({ live: z.literal(true) }).meta({ id: 'Live', description: 'The process answers.' });

const count = (what: string) => z.int().min(0).describe(what);
const degraded = health.shape.degraded.unwrap();
/** Answers `GET /v1/admin/status`. */
export const status = z
  .object({
    ready: health.shape.ready,
    degraded: degraded.describe('What is away while intake works, for the API or any other process.'),
    missing: health.shape.missing.unwrap().describe('What keeps the whole from serving.'),
    breakers: z
      .array(z.object({ dependency: z.string(), process: z.string(), since: time('When it opened.') }))
      .describe(
        'Those that are open: that process refuses calls to the dependency at once, and asks whether it is back.',
      ),
    queues: z
      .record(lane, z.record(z.enum(JOB_STATES), z.int().min(0)))
      .optional()
      .describe('Jobs by lane and state; absent while Redis is away. What is `failed` are the dead letters.'),
    statusOutbox: z.int().min(0).optional().describe('Status writes that wait for Convex; absent while Redis is away.'),
    scrub: z
      .object({
        checked: count('Objects read again.'),
        bytes: count('Bytes of them.'),
        missing: count('Those that were gone.'),
        different: count('Those whose bytes are not what was verified.'),
        held: count('Missing or different ones that were left as they are, being too many at once.'),
        passes: count('How often it has been through all objects.'),
      })
      .optional()
      .describe('What the scrub did since it began; absent while Redis is away.'),
  })
  .meta({ id: 'Status', description: 'How it goes, for whoever operates it.' });
/** How it goes, for whoever operates it. */
export type Status = z.infer<typeof status>;
