import { z } from 'zod';
import { bytes, JOB_STATES, lane, time } from './answers-fields.ts';

const count = (what: string) => z.int().min(0).describe(what);
const jobId = z.string();
const job = z.string().describe('What kind of job: `upload`, for example.');
const fault = {
  code: z.string().describe('As in the table of codes.'),
  message: z.string().describe('What happened and why.'),
};

const letterGroup = z
  .object({
    fingerprint: z
      .string()
      .describe('Names the group: code, job, and the message without what differs from file to file.'),
    code: fault.code,
    job,
    lanes: z.array(lane),
    count: count('Dead letters of the group.'),
    bytes: bytes("What they keep of Redis' memory."),
    firstSeen: time('When the first of them failed.'),
    lastSeen: time('When the last of them failed.'),
    example: z.object({ jobId, message: fault.message }).describe('The last of them.'),
    retryable: z.boolean().describe('True when a replay may succeed though nothing was mended.'),
    nextAction: z.string().describe('What to do about it.'),
  })
  .meta({ id: 'DeadLetterGroup', description: 'Jobs that failed for the same reason.' });
export type LetterGroup = z.infer<typeof letterGroup>;

/** Answers `GET /v1/admin/dead-letters`. */
export const letterGroups = z.object({ groups: z.array(letterGroup) }).meta({
  id: 'DeadLetterGroups',
  description: 'Everything that failed for good, by its reason; the largest group first.',
});

const deadLetter = z
  .object({ jobId, lane, job, failedAt: time('When it failed.'), error: z.object(fault) })
  .meta({ id: 'DeadLetter', description: 'A job that failed for good.' });
export type DeadLetter = z.infer<typeof deadLetter>;
/** Answers `GET /v1/admin/dead-letters?fingerprint=`. */
export const deadLetters = z
  .object({
    deadLetters: z.array(deadLetter),
    next: z.string().optional().describe('`cursor` of the page after this one.'),
  })
  .meta({ id: 'DeadLetters', description: 'A page of one group, the newest of each lane first.' });
/** `next` is the cursor of the page after this one, absent on the last. */
export type DeadLetterPage = z.infer<typeof deadLetters>;

/** Answers a replay or a discard with `dryRun`. */
export const lettersPlanned = z
  .object({
    outcome: z.literal('planned'),
    total: count('Dead letters it would be about.'),
    groups: z.array(letterGroup),
  })
  .meta({ id: 'DeadLettersPlanned', description: 'What would be replayed or discarded; nothing was done.' });
/** What a replay or a discard would be about. */
export type LettersPlanned = z.infer<typeof lettersPlanned>;

const run = {
  jobId,
  state: z.enum(JOB_STATES),
  total: count('Dead letters it is about, counted when it was asked for.'),
  skipped: count('Those that were no dead letters any more when their turn came, or failed anew.'),
  left: count('Those whose turn is still to come.'),
  error: z.object({ message: z.string() }).optional().describe('Why it failed itself.'),
};
/** Answers `POST /v1/admin/dead-letters/replay` and `GET /v1/admin/dead-letters/replays/{id}`. */
export const replayRun = z
  .object({ ...run, replayed: count('Those that workers take again.') })
  .meta({ id: 'Replay', description: 'How far a replay has come; known for an hour after its end.' });
/** How far a replay has come. */
export type ReplayRun = z.infer<typeof replayRun>;
/** Answers `DELETE /v1/admin/dead-letters` and `GET /v1/admin/dead-letters/discards/{id}`. */
export const discardRun = z
  .object({ ...run, discarded: count('Those that are gone.') })
  .meta({ id: 'Discard', description: 'How far a discard has come; known for an hour after its end.' });
/** How far a discard has come. */
export type DiscardRun = z.infer<typeof discardRun>;
