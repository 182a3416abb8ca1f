/**
 * The words of the house as types. Every room may import this file; it imports nothing.
 * Sizes are bytes, times are milliseconds since the epoch, checksums are SHA-256 in lower-case hex.
 */

/** Types of asset that belong to a scene. */
const SCENE_ASSET_TYPES = ['video_chunk', 'source_code', 'thumbnail', 'subtitle'] as const;
/** Types of asset that belong to a session. */
const SESSION_ASSET_TYPES = ['combined_video', 'combined_subtitle', 'manifest'] as const;
export const ASSET_TYPES = [...SCENE_ASSET_TYPES, ...SESSION_ASSET_TYPES] as const;
export type AssetType = (typeof ASSET_TYPES)[number];

/** What an asset belongs to, by the callers' own ids. Without `scene` it is the session itself. */
export interface EntityRef {
  readonly project: string;
  readonly session: string;
  readonly scene?: string | undefined;
}

export const ASSET_STATUSES = ['pending', 'uploading', 'ready', 'error', 'deleted'] as const;
export type AssetStatus = (typeof ASSET_STATUSES)[number];

export type Visibility = 'private' | 'public';

/** True for types that belong to a scene, so that a caller must name one. */
export function belongsToScene(type: AssetType): boolean {
  return (SCENE_ASSET_TYPES as readonly string[]).includes(type);
}

/**
 * Orders the status writes of one asset: raised on replay (`generation`), when a worker starts the
 * job (`attemptsStarted`), and with each write of one start (`sequence`). Compared left to right.
 */
export type Fence = readonly [generation: number, attemptsStarted: number, sequence: number];

/** Facts of an asset fixed at intake. They travel in the job, in status writes and in the commit. */
export interface AssetFacts {
  readonly assetId: string;
  readonly entity: EntityRef;
  readonly assetType: AssetType;
  readonly filename: string;
  readonly contentType: string;
  /** Final object key; the asset id is in it, so no two assets share one. */
  readonly s3Key: string;
  /** Order of acceptance; `current` only ever moves to a higher one. An integer below 2^53. */
  readonly acceptedSeq: number;
  readonly visibility: Visibility;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly batchId: string;
  readonly jobId: string;
  readonly correlationId: string;
  /** Id of the API key that posted it. */
  readonly createdBy: string;
  readonly createdAt: number;
}

export const LOCK_MODES = ['GOVERNANCE', 'COMPLIANCE'] as const;

/**
 * Keeps a stored object from being deleted or replaced until a time, in milliseconds since the epoch. `GOVERNANCE` gives
 * way to people with a right of their own, `COMPLIANCE` to nobody.
 */
export interface ObjectLock {
  readonly mode: (typeof LOCK_MODES)[number];
  readonly until: number;
}

/** How the store keeps an object encrypted; `bucketKey` when a key of the bucket stands in for calls to KMS. */
export interface Encryption {
  readonly algorithm: string;
  readonly keyId?: string | undefined;
  readonly bucketKey?: boolean | undefined;
}

/** What the store holds for a key, once verified there. */
export interface StoredFacts {
  readonly s3Key: string;
  readonly size: number;
  readonly checksum: string;
  /** How the store confirmed the bytes. */
  readonly verifiedBy: 'checksum' | 'composite' | 'etag' | 'readback';
  readonly encryption?: Encryption | undefined;
  /** What the store confirmed of the lock asked for. */
  readonly lock?: ObjectLock | undefined;
  readonly versionId?: string | undefined;
  /** The media type that the bytes told, when nobody declared one. */
  readonly contentType?: string | undefined;
}
