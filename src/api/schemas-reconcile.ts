import { z } from 'zod';

export const reconcileBody = z.strictObject({
  prefix: z
    .string()
    .max(1_024)
    .default('')
    .describe('Begin of the keys that it is about: `projects/p1/`, for example. All when it is left out.'),
  repair: z.boolean().default(false).describe('Brings in order what differs; else it is only told.'),
  force: z
    .boolean()
    .default(false)
    .describe('Mends also what is held back: a class of which more was found than damage explains.'),
});

export const reconcileParams = z.object({
  jobId: z
    .string()
    .regex(/^[\w-]{1,128}$/, 'Must be the id of a reconciliation.')
    .describe('As the answer of 202 gave it.'),
});
