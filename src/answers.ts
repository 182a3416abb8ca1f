import { z } from 'zod';
import { ASSET_STATUSES, ASSET_TYPES, LOCK_MODES } from '#domain';
import { ERROR_CODES } from '#errors';
import { bytes, JOB_STATES, lane, time } from './answers-fields.ts';

export * from './answers-dead-letters.ts';
export { JOB_STATES } from './answers-fields.ts';
export * from './answers-reconcile.ts';
export * from './answers-status.ts';

/**
 * The API's answers, once: the API answers them, the client reads them, `/openapi.json` describes them, and the API's
 * tests hold real answers against them. A reader drops fields it does not know. Times are milliseconds since the
 * epoch, sizes bytes, progress 0 to 1.
 */

const progress = z.number().min(0).max(1).describe('0 to 1.');
const assetId = z.string().describe('Made at intake; names the asset everywhere.');
const batchId = z.string().describe('The request that the files came with.');
const checksum = z.string().describe('SHA-256 in lower-case hex.');
const visibility = z.enum(['private', 'public']).describe('Who may ask for its URL.');
const tries = z.int().min(0);
const correlationId = z.string().describe('As in `X-Correlation-Id` and in the logs.');

const errorFields = {
  code: z.string().meta({
    description: 'Stable; what to decide by. More may be added.',
    override: { enum: Object.keys(ERROR_CODES) },
  }),
  message: z.string().describe('What happened and why, for a person.'),
  retryable: z.boolean().describe('True when the same call, or the same file, may succeed later.'),
  nextAction: z.string().describe('What to do about it.'),
  details: z.record(z.string(), z.unknown()).describe('What the code is about: `fields` that are wrong, for example.'),
};

/** An error as rows, jobs, batches and answers carry it. */
export const errorFacts = z.object(errorFields).meta({ id: 'ErrorFacts', description: 'Why something failed.' });

/** Every answer outside 2xx and 3xx, whatever the route. */
export const errorAnswer = z
  .object({ error: z.object({ ...errorFields, correlationId }) })
  .meta({ id: 'ErrorAnswer', description: 'Every error has this form.' });
export type ErrorAnswer = z.infer<typeof errorAnswer>;

const namedFile = z.object({ assetId, filename: z.string() });
const packed = { lane, size: bytes('Sum of the known sizes.') };

/** Answers `POST /v1/uploads` and `POST /v1/uploads/files`. */
export const accepted = z
  .object({
    batchId,
    outcome: z
      .enum(['created', 'duplicate'])
      .describe('`duplicate` when an upload with the same Idempotency-Key had been accepted before.'),
    jobs: z.array(z.object({ jobId: z.string(), ...packed, files: z.array(namedFile) })),
  })
  .meta({ id: 'Accepted', description: 'Each of these files ends `ready`, or as a visible error.' });
/** An upload that will be carried out: each of its files ends `ready` or as a visible error. */
export type Accepted = z.infer<typeof accepted>;

/** Answers `POST /v1/uploads?dryRun=1`. */
export const planned = z
  .object({
    outcome: z.literal('planned'),
    jobs: z.array(z.object({ ...packed, files: z.array(z.object({ filename: z.string() })) })),
  })
  .meta({ id: 'Planned', description: 'The jobs there would be; nothing was taken in.' });
/** How an upload would be divided into jobs. */
export type Planned = z.infer<typeof planned>;

/** Answers `GET /v1/batches/{id}`. */
export const batch = z
  .object({
    batchId,
    project: z.string(),
    owner: z.string().describe('Id of the API key that posted it.'),
    state: z.enum(['accepted', 'running', 'done']),
    total: z.int().describe('Files in all.'),
    successful: z.array(assetId),
    failed: z.array(
      z.object({
        assetId,
        error: errorFacts,
        attempt: tries.optional().describe("The file's own tries so far."),
        maxAttempts: tries.optional(),
      }),
    ),
    size: bytes('Bytes announced.'),
    createdAt: time('When it was accepted.'),
  })
  .meta({
    id: 'Batch',
    description: 'Files that are neither successful nor failed are under way, until it is `done`.',
  });
/** Where an upload stands: files that are neither successful nor failed are under way, until it is `done`. */
export type Batch = z.infer<typeof batch>;

export type JobState = (typeof JOB_STATES)[number];

/** Answers `GET` and `DELETE /v1/jobs/{id}`. */
export const job = z
  .object({
    jobId: z.string(),
    batchId,
    project: z.string(),
    lane,
    state: z.enum(JOB_STATES).describe('`delayed` waits for its next attempt; `failed` stays until it is replayed.'),
    progress,
    attempts: tries.describe('Attempts that have ended.'),
    maxAttempts: tries,
    nextRetryAt: time('When a delayed job is tried again.').optional(),
    error: errorFacts.optional().describe('Why the last attempt failed; `CANCELLED` for a cancelled job.'),
    files: z.array(namedFile),
  })
  .meta({ id: 'Job', description: 'Files of a batch that travel together.' });
/** Files of a batch that travel together. `attempts` are those ended, and `error` says why the last one failed. */
export type Job = z.infer<typeof job>;
/** Answers `GET /v1/jobs`, newest first. */
export const jobs = z.object({ jobs: z.array(job) }).meta({ id: 'Jobs', description: 'Newest first.' });

/** Answers `GET /v1/assets/{id}`. */
export const asset = z
  .object({
    assetId,
    project: z.string(),
    session: z.string(),
    scene: z.string().optional(),
    assetType: z.enum(ASSET_TYPES),
    filename: z.string(),
    contentType: z.string(),
    visibility,
    status: z.enum(ASSET_STATUSES),
    progress,
    attempt: tries.describe('The attempt that runs, or ran last.'),
    maxAttempts: tries,
    nextRetryAt: time('When it is tried again.').optional(),
    error: errorFacts.optional(),
    version: z.int().optional().describe('1, 2, 3… of its type in its scene or session, in the order of commits.'),
    current: z.boolean().describe('True for the one that is shown: the last accepted that is ready.'),
    s3Key: z.string().describe('Where the object is in the store.'),
    size: bytes('Absent until it is known.').optional(),
    checksum: checksum.optional(),
    encryption: z
      .object({ algorithm: z.string(), keyId: z.string().optional(), bucketKey: z.boolean().optional() })
      .optional()
      .describe('As the store confirmed it.'),
    lock: z
      .object({ mode: z.enum(LOCK_MODES), until: time('Nobody deletes or replaces it before.') })
      .optional()
      .describe('As the store confirmed it.'),
    renditions: z.object({ status: z.enum(['none']) }),
    metadata: z.record(z.string(), z.unknown()).describe('What its uploader keeps with it.'),
    batchId,
    correlationId,
    createdAt: time('When it was accepted.'),
    uploadedAt: time('When it was committed.').optional(),
    stale: z.boolean().optional().describe('True when Convex is away and the answer is remembered.'),
  })
  .meta({ id: 'Asset', description: 'A file. What only a stored one has is absent until it is `ready`.' });
/** A file of a scene or session. What only a stored one has is absent until it is `ready`; `current` marks the one shown. */
export type Asset = z.infer<typeof asset>;
/** Answers the lists of assets of a session or scene. */
export const assets = z
  .object({ assets: z.array(asset), next: z.string().optional().describe('`cursor` of the page after this one.') })
  .meta({ id: 'Assets', description: 'A page, newest version first.' });
/** `next` is the cursor of the page after this one, absent on the last. */
export type AssetPage = z.infer<typeof assets>;

/** Answers `GET /v1/assets/{id}/url`. */
export const assetUrl = z
  .object({
    url: z.string(),
    expiresAt: time('Absent for a URL that does not expire.').optional(),
    servedFrom: z.string().describe("The layer that knew it; a URL from `content` is the API's own and wants a key."),
  })
  .meta({ id: 'AssetUrl', description: 'A URL that works now.' });
/** `servedFrom` names the layer that knew the URL; a URL from `content` is the API's own and wants a key. */
export type AssetUrl = z.infer<typeof assetUrl>;

/** Answers `POST /v1/assets/urls`. */
export const assetUrls = z
  .object({
    urls: z.array(z.union([z.object({ assetId, ...assetUrl.shape }), z.object({ assetId, ...errorAnswer.shape })])),
  })
  .meta({ id: 'AssetUrls', description: 'One for each id asked for, in their order: a URL, or why there is none.' });
/** One for each id asked for: a URL, or why there is none. */
export type AssetUrls = z.infer<typeof assetUrls>['urls'];

const sessionFields = { project: z.string(), session: z.string() };
const entityFields = {
  name: z.string().optional().describe('As given.'),
  created: z.boolean().describe('False when it was there and was updated.'),
};
/** Answers `POST /v1/projects/{project}/sessions`. */
export const sessionAnswer = z
  .object({ ...sessionFields, ...entityFields })
  .meta({ id: 'Session', description: 'A session, by the ids of its caller.' });
/** Answers `POST /v1/projects/{project}/sessions/{session}/scenes`. */
export const sceneAnswer = z
  .object({ ...sessionFields, scene: z.string(), ...entityFields })
  .meta({ id: 'Scene', description: 'A scene, by the ids of its caller.' });

const part = { number: z.int().min(1).describe('From 1.'), size: bytes('Bytes of this part.') };
const signedPut = {
  url: z.string().describe('PUT the bytes there, without an API key.'),
  headers: z.record(z.string(), z.string()).describe('Headers that the PUT must have.'),
  expiresAt: time('When the URL ends.'),
};
/** Answers the routes of staging, but for `DELETE`. */
export const staging = z
  .object({
    stagingId: z.string(),
    project: z.string(),
    state: z
      .enum(['open', 'complete', 'used', 'aborted', 'expired'])
      .describe('`open` takes bytes, `complete` can be uploaded, `used` was; `aborted` and `expired` are over.'),
    size: bytes('Bytes announced.'),
    checksum: checksum.optional(),
    expiresAt: time('When its bytes are dropped, unless an upload uses them.'),
    batchId: batchId.optional().describe('The batch that uses them.'),
    put: z.object(signedPut).optional().describe('While open, without parts: the request that sends all bytes.'),
    partSize: bytes('Bytes of every part but the last.').optional(),
    parts: z.array(z.object(part)).optional().describe('The parts that are there.'),
    missing: z
      .array(z.object({ ...part, ...signedPut }))
      .optional()
      .describe('The requests that send the next parts, 1,000 at the most: ask again once they are sent.'),
  })
  .meta({ id: 'Staging', description: 'Bytes that their owner puts into the store himself.' });
/** Staged bytes as their owner sees them: what is there, and while they are open the requests that send the rest. */
export type Staging = z.infer<typeof staging>;
