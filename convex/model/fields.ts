import { type Infer, v } from 'convex/values';

/** Validators of the words that several tables and functions share. Sizes are bytes, times milliseconds since the epoch. */

/** Types of asset that belong to a scene, and to a session itself, as `src/domain.ts` has them. */
export const SCENE_ASSET_TYPES = ['video_chunk', 'source_code', 'thumbnail', 'subtitle'] as const;
export const SESSION_ASSET_TYPES = ['combined_video', 'combined_subtitle', 'manifest'] as const;

export const assetType = v.union(
  v.literal('video_chunk'),
  v.literal('source_code'),
  v.literal('thumbnail'),
  v.literal('subtitle'),
  v.literal('combined_video'),
  v.literal('combined_subtitle'),
  v.literal('manifest'),
);
export type AssetType = Infer<typeof assetType>;

const visibility = v.union(v.literal('private'), v.literal('public'));

const assetStatus = v.union(
  v.literal('pending'),
  v.literal('uploading'),
  v.literal('ready'),
  v.literal('error'),
  v.literal('deleted'),
);

/** Of a scene or session: over the newest accepted asset of each type, error if any, else uploading, else pending, else ready. */
export const assetsStatus = v.union(
  v.literal('pending'),
  v.literal('uploading'),
  v.literal('ready'),
  v.literal('error'),
);
export type AssetsStatus = Infer<typeof assetsStatus>;

/** Generation, attemptsStarted, sequence: status writes of one asset are compared left to right. */
export const fence = v.array(v.number());

export const errorFacts = v.object({
  code: v.string(),
  message: v.string(),
  retryable: v.boolean(),
  nextAction: v.string(),
  details: v.record(v.string(), v.any()),
});

const encryption = v.object({
  algorithm: v.string(),
  keyId: v.optional(v.string()),
  bucketKey: v.optional(v.boolean()),
});

/** Until when the store keeps the object from being deleted, and for whom. */
const lock = v.object({ mode: v.union(v.literal('GOVERNANCE'), v.literal('COMPLIANCE')), until: v.number() });

/** What a scene or session says of the asset that is current for a type. */
export const assetReference = v.object({
  assetId: v.string(),
  version: v.number(),
  s3Key: v.string(),
  s3Url: v.optional(v.string()),
  urlExpiresAt: v.optional(v.number()),
  contentType: v.string(),
  size: v.number(),
  checksum: v.string(),
  uploadedAt: v.number(),
});
export type AssetReference = Infer<typeof assetReference>;

/** A version that was current and is no more. */
export const replacedVersion = v.object({
  assetId: v.string(),
  type: assetType,
  version: v.number(),
  s3Key: v.string(),
  contentType: v.string(),
  size: v.number(),
  checksum: v.string(),
  uploadedAt: v.number(),
  replacedAt: v.number(),
});
export type ReplacedVersion = Infer<typeof replacedVersion>;

/**
 * Per type: the last version given, and the highest acceptedSeq that became current. Neither falls when rows
 * are deleted; a withdrawal takes `currentSeq` back to what is shown instead.
 */
export const heads = v.record(v.string(), v.object({ version: v.number(), currentSeq: v.number() }));

/** Callers' own ids of what an asset belongs to; without `scene` it is the session itself. */
export const entityRef = v.object({ project: v.string(), session: v.string(), scene: v.optional(v.string()) });
export type EntityRef = Infer<typeof entityRef>;

/** Facts of an asset fixed at intake. */
export const assetFacts = v.object({
  assetId: v.string(),
  entity: entityRef,
  assetType,
  filename: v.string(),
  contentType: v.string(),
  s3Key: v.string(),
  acceptedSeq: v.number(),
  visibility,
  /** The caller's own JSON, as text: Convex does not take every name of a field that JSON has. */
  metadata: v.string(),
  batchId: v.string(),
  jobId: v.string(),
  correlationId: v.string(),
  createdBy: v.string(),
  createdAt: v.number(),
});

/** What changes of an asset and readers see. Fields of the stored object are absent until it is `ready`. */
export const assetState = v.object({
  status: assetStatus,
  progress: v.number(),
  attempt: v.number(),
  maxAttempts: v.number(),
  nextRetryAt: v.optional(v.number()),
  error: v.optional(errorFacts),
  /** True for the one asset that its entity shows for the type. */
  current: v.boolean(),
  version: v.optional(v.number()),
  /** Announced until `ready`, then the stored object's. */
  size: v.optional(v.number()),
  checksum: v.optional(v.string()),
  s3Url: v.optional(v.string()),
  urlExpiresAt: v.optional(v.number()),
  encryption: v.optional(encryption),
  lock: v.optional(lock),
  uploadedAt: v.optional(v.number()),
});

export const memberRole = v.union(v.literal('viewer'), v.literal('editor'), v.literal('admin'));
export type MemberRole = Infer<typeof memberRole>;

/** The progress of one request, for people to watch. */
export const batchRecord = v.object({
  batchId: v.string(),
  project: v.string(),
  owner: v.string(),
  total: v.number(),
  ready: v.number(),
  failed: v.number(),
  state: v.union(v.literal('accepted'), v.literal('running'), v.literal('done')),
  createdAt: v.number(),
});
export type BatchRecord = Infer<typeof batchRecord>;

/** A key for agents. Of its secret only the SHA-256 is kept. Without `projects` it is for all of them. */
export const apiKey = v.object({
  keyId: v.string(),
  secretHash: v.string(),
  name: v.string(),
  scopes: v.array(v.string()),
  projects: v.optional(v.array(v.string())),
  createdAt: v.number(),
  expiresAt: v.optional(v.number()),
  revokedAt: v.optional(v.number()),
});

/** A switch for a part of a rollout. Without `environments` it is for all of them, and so are `projects`. */
export const flag = v.object({
  name: v.string(),
  /** Share of the subjects it is on for, 0 to 100. */
  percentage: v.number(),
  environments: v.optional(v.array(v.string())),
  projects: v.optional(v.array(v.string())),
});

/** An object that is kept out of service under another key than `s3Key`, which it had, and why. */
export const quarantinedObject = v.object({
  s3Key: v.string(),
  assetId: v.optional(v.string()),
  reason: errorFacts,
  at: v.number(),
});

/** Who did what to what. `kind` of an actor is `agent`, `viewer`, `admin` or `service`; new ones need no deploy. */
export const auditEntry = v.object({
  entryId: v.string(),
  at: v.number(),
  actor: v.object({ kind: v.string(), id: v.string() }),
  action: v.string(),
  target: v.string(),
  project: v.optional(v.string()),
  /** JSON, as text: Convex does not take every name of a field that JSON has. */
  details: v.string(),
  correlationId: v.string(),
});
