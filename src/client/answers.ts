import { z } from 'zod';
import { ASSET_STATUSES, ASSET_TYPES } from '#domain';
import { errorFacts } from './error.ts';

/**
 * The API's answers as this client reads them. Fields it does not know are tolerated and dropped;
 * times are milliseconds since the epoch, sizes bytes, progress 0 to 1.
 */

/** A field that may be missing or null; either reads as undefined. */
const absent = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? undefined);

/** Answers `POST /v1/uploads` and `POST /v1/uploads/files`. */
export const accepted = z.object({
  batchId: z.string(),
  /** `duplicate` when an upload with the same idempotency key had been accepted before. */
  outcome: z.enum(['created', 'duplicate']),
  jobs: z.array(
    z.object({
      jobId: z.string(),
      lane: z.string(),
      size: z.number(),
      files: z.array(z.object({ assetId: z.string(), filename: z.string() })),
    }),
  ),
});
/** An upload that will be carried out: each of its files ends `ready` or as a visible error. */
export type Accepted = z.infer<typeof accepted>;

/** Answers `POST /v1/uploads?dryRun=1`. */
export const planned = z.object({
  outcome: z.literal('planned'),
  jobs: z.array(z.object({ lane: z.string(), size: z.number(), files: z.array(z.object({ filename: z.string() })) })),
});
/** How an upload would be divided into jobs. */
export type Planned = z.infer<typeof planned>;

/** Answers `GET /v1/batches/{id}`. */
export const batch = z.object({
  batchId: z.string(),
  state: z.enum(['accepted', 'running', 'done']),
  total: z.number(),
  successful: z.array(z.string()),
  failed: z.array(z.object({ assetId: z.string(), error: errorFacts })),
  /** Bytes announced. */
  size: z.number(),
});
/** Where an upload stands: files that are neither successful nor failed are under way, none is once it is `done`. */
export type Batch = z.infer<typeof batch>;

/** A `delayed` job waits for its next attempt; a `failed` one stays until it is replayed. */
export const JOB_STATES = ['waiting', 'active', 'delayed', 'completed', 'failed'] as const;
export type JobState = (typeof JOB_STATES)[number];

/** Answers `GET` and `DELETE /v1/jobs/{id}`. */
export const job = z.object({
  jobId: z.string(),
  batchId: absent(z.string()),
  project: absent(z.string()),
  lane: z.string(),
  state: z.enum(JOB_STATES),
  progress: z.number(),
  attempts: z.number(),
  maxAttempts: absent(z.number()),
  nextRetryAt: absent(z.number()),
  error: absent(errorFacts),
  files: z.array(z.object({ assetId: z.string(), filename: z.string() })).default([]),
});
/** Files of a batch that travel together. `attempts` are those ended, and `error` says why the last one failed. */
export type Job = z.infer<typeof job>;
/** Answers `GET /v1/jobs`, newest first. */
export const jobs = z.object({ jobs: z.array(job) });

/** Answers `GET /v1/assets/{id}`. */
export const asset = z.object({
  assetId: z.string(),
  project: z.string(),
  session: z.string(),
  scene: absent(z.string()),
  assetType: z.enum(ASSET_TYPES),
  filename: z.string(),
  status: z.enum(ASSET_STATUSES),
  progress: z.number(),
  current: z.boolean(),
  visibility: z.enum(['private', 'public']),
  version: absent(z.number()),
  s3Key: absent(z.string()),
  size: absent(z.number()),
  contentType: absent(z.string()),
  /** SHA-256 in lower-case hex. */
  checksum: absent(z.string()),
  attempt: absent(z.number()),
  maxAttempts: absent(z.number()),
  nextRetryAt: absent(z.number()),
  error: absent(errorFacts),
  /** What its uploader keeps with it. */
  metadata: absent(z.record(z.string(), z.unknown())),
  batchId: absent(z.string()),
  correlationId: absent(z.string()),
  /** True when Convex is away and the answer is remembered. */
  stale: absent(z.boolean()),
});
/** A file of a scene or session. What only a stored one has is absent until it is `ready`; `current` marks the one shown. */
export type Asset = z.infer<typeof asset>;
/** Answers the lists of assets of a session or scene. */
export const assets = z.object({ assets: z.array(asset), next: absent(z.string()) });
/** `next` is the cursor of the page after this one, absent on the last. */
export type AssetPage = z.infer<typeof assets>;

/** Answers `GET /v1/assets/{id}/url`. */
export const assetUrl = z.object({
  url: z.string(),
  /** Absent for a URL that does not expire. */
  expiresAt: absent(z.number()),
  servedFrom: z.string(),
});
/** `servedFrom` names the layer that knew the URL; a URL from `content` is the API's own and wants a key. */
export type AssetUrl = z.infer<typeof assetUrl>;

/** Answers `POST /v1/assets/urls`. */
export const assetUrls = z.object({
  urls: z.array(
    z.union([assetUrl.extend({ assetId: z.string() }), z.object({ assetId: z.string(), error: errorFacts })]),
  ),
});
/** One for each id asked for: a URL, or why there is none. */
export type AssetUrls = z.infer<typeof assetUrls>['urls'];

/** Answers `GET /health/ready`, with 200 and with 503. */
export const health = z.object({
  /** True while the API and a worker serve. */
  ready: z.boolean(),
  /** What is away while intake works. */
  degraded: z.array(z.string()).default([]),
  /** What keeps the whole from serving. */
  missing: z.array(z.string()).default([]),
});
/** Whether uploads are carried out now, and what is away. */
export type Health = z.infer<typeof health>;
