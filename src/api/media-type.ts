import mime from 'mime';
import type { AssetType } from '#domain';

const UNKNOWN = 'application/octet-stream';
/** Text that a browser knows by another name than `text/…`. */
const TEXT = /^(text\/.*|application\/(json|javascript|xml|toml|x-sh))$/;

/**
 * The media type of a file: what the caller said, unless it says nothing, else what the name suggests.
 * Source code is always text: to a registry `.ts` is a film, and `.py` is unknown.
 */
export function mediaType(assetType: AssetType, filename: string, said?: string | undefined): string {
  if (said !== undefined && said !== UNKNOWN) return said;
  if (assetType !== 'source_code') return mime.getType(filename) ?? UNKNOWN;
  if (/\.py$/i.test(filename)) return 'text/x-python';
  const suggested = mime.getType(filename) ?? '';
  return TEXT.test(suggested) ? suggested : 'text/plain';
}
