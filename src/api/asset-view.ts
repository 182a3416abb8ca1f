import type { AssetStatus, AssetType, Visibility } from '#domain';
import type { ErrorFacts } from '#errors';
import type { AssetRow } from '#metadata/metadata.ts';

/** An asset as callers see it. */
export interface AssetView {
  readonly assetId: string;
  readonly project: string;
  readonly session: string;
  readonly scene?: string | undefined;
  readonly assetType: AssetType;
  readonly filename: string;
  readonly contentType: string;
  readonly visibility: Visibility;
  readonly status: AssetStatus;
  /** 0 to 1. */
  readonly progress: number;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly nextRetryAt?: number | undefined;
  readonly error?: ErrorFacts | undefined;
  readonly version?: number | undefined;
  readonly current: boolean;
  readonly s3Key: string;
  readonly size?: number | undefined;
  /** SHA-256 in hex. */
  readonly checksum?: string | undefined;
  readonly encryption?: AssetRow['encryption'];
  readonly lock?: AssetRow['lock'];
  readonly renditions: { readonly status: 'none' };
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly batchId: string;
  readonly correlationId: string;
  readonly createdAt: number;
  readonly uploadedAt?: number | undefined;
  /** Convex is away and the answer is remembered. */
  readonly stale?: true;
}

/** The row without what is ours alone: the stored URL (ask `/url`), the sequence and the key's id. */
export function viewRow(row: AssetRow): AssetView {
  const { entity, s3Url: _url, urlExpiresAt: _expiry, acceptedSeq: _seq, createdBy: _key, ...shown } = row;
  return { ...shown, ...entity, renditions: { status: 'none' } };
}
