import { z } from 'zod';
import { LANES } from '#queues/catalog.ts';
import { limit, visible } from './schemas.ts';

/** Job ids that one request may name: the audit keeps them all. */
const MOST_IDS = 500;

const letterJobId = z.string().regex(/^[\w:-]{1,100}$/, 'Must be the id of a job.');
const fingerprint = z
  .string()
  .regex(/^[\da-f]{12}$/, 'Must be a fingerprint that the groups give.')
  .describe('Those of this group.');

const chosen = {
  fingerprint: fingerprint.optional(),
  jobIds: z.array(letterJobId).min(1).max(MOST_IDS).optional().describe('These jobs.'),
  olderThan: z.int().min(0).optional().describe('Those that failed at least so many seconds ago.'),
  all: z.literal(true).optional().describe('Every one: said instead of anything else.'),
  dryRun: z.boolean().default(false).describe('Counts only: answers with the groups it would be about.'),
};

interface Chosen {
  readonly fingerprint?: unknown;
  readonly jobIds?: unknown;
  readonly olderThan?: unknown;
  readonly all?: unknown;
}

/** Nobody replays or discards everything by leaving something out. */
const isChosen = ({ fingerprint, jobIds, olderThan, all }: Chosen) =>
  [fingerprint, jobIds, olderThan].some((one) => one !== undefined) !== (all === true);
const UNCHOSEN = { path: ['all'], message: 'Give fingerprint, jobIds or olderThan, or instead of these all: true.' };

export const replayBody = z
  .strictObject({
    ...chosen,
    perSecond: z.int().min(1).max(1_000).default(50).describe('How many a second are started again.'),
  })
  .refine(isChosen, UNCHOSEN);

export const discardBody = z
  .strictObject({ ...chosen, reason: visible(500).describe('Why, for the audit.') })
  .refine(isChosen, UNCHOSEN);

export const lettersQuery = z.strictObject({
  fingerprint: fingerprint.optional().describe('Answers with the dead letters of this group instead of the groups.'),
  cursor: z
    .string()
    .regex(new RegExp(`^(${LANES.join('|')})(-\\d+)?$`), 'Must be `next` of the page before.')
    .optional()
    .describe('`next` of the page before.'),
  limit: limit(100),
});

export const letterRunParams = z.object({ jobId: letterJobId.describe('As the answer of 202 gave it.') });
