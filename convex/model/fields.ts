import { type Infer, v } from 'convex/values';

/** Validators of the words that several tables and functions share. Sizes are bytes, times milliseconds since the epoch. */

export const SCENE_TYPES = ['video_chunk', 'source_code', 'thumbnail', 'subtitle'] as const;
export const SESSION_TYPES = ['combined_video', 'combined_subtitle', 'manifest'] as const;

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

export const visibility = v.union(v.literal('private'), v.literal('public'));

export const assetStatus = v.union(
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

export const encryption = v.object({ algorithm: v.string(), keyId: v.optional(v.string()) });

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

/** Per type: the last version given, and the highest acceptedSeq that ever became current. Neither falls when rows go. */
export const heads = v.record(v.string(), v.object({ version: v.number(), currentSeq: v.number() }));

/** The caller's own JSON, as text: Convex does not take every name of a field that JSON has. */
export const metadataText = v.string();

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
  metadata: metadataText,
  batchId: v.string(),
  jobId: v.string(),
  correlationId: v.string(),
  createdBy: v.string(),
  createdAt: v.number(),
});
export type AssetFacts = Infer<typeof assetFacts>;

export const memberRole = v.union(v.literal('viewer'), v.literal('editor'), v.literal('admin'));
export type MemberRole = Infer<typeof memberRole>;

export const batchState = v.union(v.literal('accepted'), v.literal('running'), v.literal('done'));
