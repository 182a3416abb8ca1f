import type { Doc } from '../_generated/dataModel.js';
import type { CommitItem } from './commit_item.ts';
import { type Entity, REFERENCE_FIELD } from './entities.ts';
import type { AssetReference, AssetType } from './fields.ts';

export type AssetFields = Omit<Doc<'assets'>, '_id' | '_creationTime'>;
export type References = Partial<Record<AssetType, AssetReference>>;

/** The row of an asset once committed. The fence of the row `before` stays. */
export function readyFields(
  { facts, stored, url, uploadedAt, attempt, maxAttempts }: CommitItem,
  entity: Entity['_id'],
  version: number,
  current: boolean,
  before: AssetFields | undefined,
): AssetFields {
  const { entity: ref, assetType, ...rest } = facts;
  const { versionId, ...object } = stored;
  return {
    ...rest,
    ...ref,
    ...object,
    ...url,
    ...(versionId !== undefined && { s3VersionId: versionId }),
    entity,
    type: assetType,
    status: 'ready',
    fence: before?.fence ?? [0, 0, 0],
    progress: 1,
    attempt,
    maxAttempts,
    current,
    becameCurrent: current,
    version,
    uploadedAt,
  };
}

/** What the entity says of the asset while it is current. */
export function referenceTo({ facts, stored, url, uploadedAt }: CommitItem, version: number): AssetReference {
  const { assetId, contentType } = facts;
  const { s3Key, size, checksum } = stored;
  return { assetId, version, s3Key, ...url, contentType, size, checksum, uploadedAt };
}

/** The same of a row that is ready. */
export function referenceOf(row: Doc<'assets'>): AssetReference {
  const {
    assetId,
    s3Key,
    s3Url,
    urlExpiresAt,
    contentType,
    version = 0,
    size = 0,
    checksum = '',
    uploadedAt = 0,
  } = row;
  const url = s3Url !== undefined && urlExpiresAt !== undefined ? { s3Url, urlExpiresAt } : {};
  return { assetId, version, s3Key, ...url, contentType, size, checksum, uploadedAt };
}

/** What the entity shows now, by type. */
export function referencesOf(entity: Entity): References {
  const found: References = {};
  for (const [type, field] of Object.entries(REFERENCE_FIELD)) {
    const reference = (entity as Partial<Record<typeof field, AssetReference>>)[field];
    if (reference) found[type as AssetType] = reference;
  }
  return found;
}
