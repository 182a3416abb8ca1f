import type { AssetType, EntityRef } from '#domain';
import { AppError } from '#errors';

/** Longest safe name in bytes: a file name on any disk, and six of them stay within S3's 1,024 of a key. */
const MAX_NAME_BYTES = 200;
const MAX_EXTENSION_BYTES = 20;
const MAX_KEY_BYTES = 1024;
const STAGING = 'staging/';
const QUARANTINE = 'quarantine/';

/** Marks that make a name read otherwise than it is: bidirectional controls, byte order mark, zero width space. */
const INVISIBLE = /[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/gu;
/** What separates paths, starts an escape, ends a line, or is refused by Windows or a URL. */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}/\\%?#*:|"<>]/gu;

/** Extensions a `source_code` asset keeps when it is downloaded; any other becomes `.py`. */
const SOURCE_EXTENSIONS = new Set(
  'c cc cjs cpp cs css glsl go h hpp html ipynb java jl js json jsx kt lua md mjs php py r rb rs sh sql svelte swift toml ts tsx vue xml yaml yml'.split(
    ' ',
  ),
);

/**
 * The final key of an asset:
 * `projects/<project>/sessions/<session>/scenes/<scene>/<assetType>/<assetId>/<filename>`, without the
 * scene's part when it belongs to the session. Every outside name in it is made safe.
 */
export function objectKey(entity: EntityRef, assetType: AssetType, assetId: string, filename: string): string {
  const scene = entity.scene === undefined ? [] : ['scenes', safeName(entity.scene)];
  const owner = ['projects', safeName(entity.project), 'sessions', safeName(entity.session), ...scene];
  return [...owner, assetType, safeName(assetId), safeName(filename)].join('/');
}

/** The key of bytes that wait for a batch; `part` is the index or name of one object in it. */
export function stagingKey(batchId: string, part: number | string): string {
  return `${STAGING}${safeName(batchId)}/${safeName(String(part))}`;
}

/** Where the object of `key` is while it is quarantined. */
export function quarantineKey(key: string): string {
  return QUARANTINE + key;
}

/** True for keys of bytes that only wait. */
export function isStaging(key: string): boolean {
  return key.startsWith(STAGING);
}

/**
 * A name of one path segment that reads as the given one: no separators, escapes, controls or `..`; at most 200 bytes
 * of UTF-8, its extension kept; never empty. A safe name comes back as it is.
 */
export function safeName(text: string): string {
  const clean = text
    .toWellFormed()
    .replace(INVISIBLE, '')
    .normalize('NFC')
    .replace(UNSAFE, '_')
    .replace(/\.{2,}/g, '.');
  return trimEnd(shorten(trimEnd(clean.trimStart()))) || 'unnamed';
}

/** The name a download gets: `<scene>_v<version>.py` for source code (another source extension is kept), else the file's own. */
export function downloadName(asset: {
  readonly assetType: AssetType;
  readonly scene?: string | undefined;
  readonly version?: number | undefined;
  readonly filename: string;
}): string {
  const { assetType, scene, version, filename } = asset;
  if (assetType !== 'source_code' || scene === undefined || version === undefined) return filename;
  const { extension } = splitExtension(filename);
  const kept = SOURCE_EXTENSIONS.has(extension.slice(1).toLowerCase()) ? extension : '.py';
  return `${safeName(scene)}_v${version}${kept}`;
}

/** True when `key` is relative and `/`-separated, without empty, `.` or `..` segments. */
export function isKey(key: string): boolean {
  const segments = key.split('/');
  const odd = segments.some((segment) => segment === '' || segment === '.' || segment === '..');
  return !(odd || key.includes('\0') || !key.isWellFormed() || Buffer.byteLength(key) > MAX_KEY_BYTES);
}

/** Throws `STORE_REJECTED` unless `isKey`. */
export function assertKey(key: string): void {
  if (!isKey(key)) {
    throw new AppError('STORE_REJECTED', 'The key is not a relative path of plain segments.', { details: { key } });
  }
}

/** Windows drops dots and spaces at the end, so two names would be one there. */
function trimEnd(name: string): string {
  return name.replace(/[\s.]+$/u, '');
}

function shorten(name: string): string {
  if (Buffer.byteLength(name) <= MAX_NAME_BYTES) return name;
  const { stem, extension } = splitExtension(name);
  let room = MAX_NAME_BYTES - Buffer.byteLength(extension);
  let kept = '';
  for (const { segment } of new Intl.Segmenter().segment(stem)) {
    room -= Buffer.byteLength(segment);
    if (room < 0) break;
    kept += segment;
  }
  return trimEnd(kept) + extension;
}

function splitExtension(name: string): { stem: string; extension: string } {
  const dot = name.lastIndexOf('.');
  const isExtension = dot > 0 && Buffer.byteLength(name.slice(dot)) <= MAX_EXTENSION_BYTES;
  return isExtension ? { stem: name.slice(0, dot), extension: name.slice(dot) } : { stem: name, extension: '' };
}
