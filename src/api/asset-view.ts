import type { Asset } from '#answers';
import type { AssetRow } from '#metadata/metadata.ts';

/** The row without what is ours alone: the stored URL (ask `/url`), the sequence and the key's id. */
export function viewRow(row: AssetRow): Asset {
  const { entity, s3Url: _url, urlExpiresAt: _expiry, acceptedSeq: _seq, createdBy: _key, ...shown } = row;
  return { ...shown, ...entity, renditions: { status: 'none' } };
}
