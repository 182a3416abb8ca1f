import mime from 'mime';
import type { AssetType } from '#domain';
import type { PackFile } from '#queues/catalog.ts';

const UNKNOWN = 'application/octet-stream';
/** Text that a browser knows by another name than `text/…`. */
const TEXT = /^(text\/.*|application\/(json|javascript|xml|toml|x-sh))$/;
/** What browsers say of a `.ts`: to their registries it is a film. */
const TYPESCRIPT: ReadonlySet<string> = new Set(['video/mp2t', 'video/vnd.dlna.mpeg-tts']);

/**
 * The media type of a file: what the caller said, unless it says nothing, else what the name suggests, which is
 * marked as a guess. To a registry `.ts` is a film, and `.py` is unknown: source code is taken for text.
 */
export function mediaType(
  assetType: AssetType,
  filename: string,
  said: string = UNKNOWN,
): Pick<PackFile, 'contentType' | 'typeGuessed'> {
  const isSource = assetType === 'source_code';
  if (said !== UNKNOWN && !(isSource && TYPESCRIPT.has(said))) return { contentType: said };
  return { contentType: isSource ? sourceType(filename) : (mime.getType(filename) ?? UNKNOWN), typeGuessed: true };
}

function sourceType(filename: string): string {
  if (/\.py$/i.test(filename)) return 'text/x-python';
  const suggested = mime.getType(filename) ?? '';
  return TEXT.test(suggested) ? suggested : 'text/plain';
}
