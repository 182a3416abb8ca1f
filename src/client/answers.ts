import { z } from 'zod';
import { ASSET_STATUSES, ASSET_TYPES } from '#domain';
import { errorFacts } from './error.ts';

/**
 * The API's answers as this client reads them. Fields it does not know are tolerated and dropped;
 * times are milliseconds since the epoch, sizes bytes, progress 0 to 1.
 */
const absent = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? undefined);

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

export const batch = z.object({
  batchId: z.string(),
  state: z.enum(['accepted', 'running', 'done']),
  total: z.number(),
  successful: z.array(z.string()),
  failed: z.array(z.object({ assetId: z.string(), error: errorFacts })),
  size: z.number(),
});
export type Batch = z.infer<typeof batch>;

export const JOB_STATES = ['waiting', 'active', 'delayed', 'completed', 'failed'] as const;
export type JobState = (typeof JOB_STATES)[number];

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
export type Job = z.infer<typeof job>;
export const jobs = z.object({ jobs: z.array(job) });

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
  batchId: absent(z.string()),
  correlationId: absent(z.string()),
  /** True when Convex is away and the answer is remembered. */
  stale: absent(z.boolean()),
});
export type Asset = z.infer<typeof asset>;
export const assets = z.object({ assets: z.array(asset), next: absent(z.string()) });
export type AssetPage = z.infer<typeof assets>;

export const assetUrl = z.object({
  url: z.string(),
  /** Absent for a URL that does not expire. */
  expiresAt: absent(z.number()),
  servedFrom: z.string(),
});
export type AssetUrl = z.infer<typeof assetUrl>;

export const assetUrls = z.object({
  urls: z.array(
    z.union([assetUrl.extend({ assetId: z.string() }), z.object({ assetId: z.string(), error: errorFacts })]),
  ),
});
/** One for each id asked for: a URL, or why there is none. */
export type AssetUrls = z.infer<typeof assetUrls>['urls'];

export const health = z.object({
  /** True while the API and a worker serve. */
  ready: z.boolean(),
  /** What is away while intake works. */
  degraded: z.array(z.string()).default([]),
  /** What keeps the whole from serving. */
  missing: z.array(z.string()).default([]),
});
export type Health = z.infer<typeof health>;
