import { fileTypeFromBuffer } from 'file-type';
import { AppError } from '#errors';

/** First bytes of a file that tell its type: what `file-type` asks for. */
export const HEAD_BYTES = 4_100;

/** What said nothing, or was not said. */
const UNKNOWN = 'application/octet-stream';

/** Kinds that exclude each other. Sound and pictures that move share containers; a jar is an archive. */
type Kind = 'film or sound' | 'image' | 'font' | 'text' | 'document' | 'program' | 'archive';

const KINDS: readonly (readonly [Kind, RegExp])[] = [
  [
    'text',
    /^(text\/.*|.*\+(xml|json)|application\/(json|javascript|ecmascript|typescript|xml|yaml|toml|sql|x-(sh|httpd-php|subrip|ndjson)))$/,
  ],
  ['film or sound', /^((video|audio)\/.*|application\/(mp4|ogg|mxf|vnd\.ms-asf|vnd\.rn-realmedia))$/],
  ['image', /^image\/.*$/],
  ['font', /^(font\/.*|application\/(vnd\.ms-fontobject|(x-)?font-.*))$/],
  ['document', /^application\/pdf$/],
  ['program', /^application\/(x-elf|x-mach-binary|x-msdownload|java-vm|wasm|x-deb|x-rpm|x-ms-shortcut)$/],
  [
    'archive',
    /^application\/(zip|gzip|zstd|lzip|x-(tar|rar-compressed|bzip2|7z-compressed|xz|lz4|cpio|apple-diskimage)|java-archive|vnd\.android\.package-archive|vnd\.ms-cab-compressed)$/,
  ],
];

/** Marks of two bytes are found by chance in one file of 65,536, so they prove nothing by themselves. */
const WEAK: ReadonlySet<string> = new Set([
  'application/x-compress',
  'application/x-msdownload',
  'audio/aac',
  'audio/mpeg',
  'audio/vnd.dolby.dd-raw',
  'image/bmp',
]);

/** How scripts and markup begin, which `file-type` leaves alone. */
const SCRIPT = /^\ufeff?\s*(#!\s*\/|<\?php|<!doctype html|<html|<script|<svg)/i;

/**
 * The media type to keep a file by, from its first `HEAD_BYTES` and what was declared: that, unless it says nothing and the
 * bytes tell. A type that was `guessed` from the name gives way to the bytes. Throws `CONTENT_TYPE_MISMATCH` only when the bytes are of another kind than was declared: a program, an image
 * or a script that calls itself a film. What is text is text: no kind of it is told from another.
 */
export async function contentTypeOf(head: Buffer, declared: string, guessed = false): Promise<string> {
  const [type = UNKNOWN] = declared.toLowerCase().split(/\s*;/);
  const found = await foundIn(head);
  if (type === UNKNOWN) return found === undefined || isActive(found) ? declared : found;
  const [said, is] = [kindOf(type), found === 'a script' ? 'text' : kindOf(found)];
  const agrees = said === undefined || is === undefined || said === is || (said === 'text' && isText(head));
  if (agrees) return declared;
  if (guessed) return found === undefined || isActive(found) ? UNKNOWN : found;
  throw new AppError('CONTENT_TYPE_MISMATCH', `The file was declared ${type}, and its bytes are ${found}.`, {
    details: { declared, found },
    nextAction: 'Declare the contentType of the bytes, and name the file by it.',
  });
}

/** A browser runs what is in a page, and XML is a page or a drawing as easily as data: never named by the bytes alone. */
function isActive(found: string): boolean {
  return found === 'a script' || /[/+]xml$/.test(found);
}

async function foundIn(head: Buffer): Promise<string | undefined> {
  if (SCRIPT.test(head.subarray(0, 512).toString('utf8'))) return 'a script';
  const mime = (await fileTypeFromBuffer(head))?.mime;
  if (mime === undefined || !WEAK.has(mime)) return mime;
  return mime === 'application/x-msdownload' && head.includes('PE\0\0') ? mime : undefined;
}

function kindOf(type: string | undefined): Kind | undefined {
  return KINDS.find(([, pattern]) => type !== undefined && pattern.test(type))?.[0];
}

/** Well-formed UTF-8 (its last character may be cut) without control characters, or UTF-16 that says so. */
function isText(head: Buffer): boolean {
  if (head.length >= 2 && [0xfeff, 0xfffe].includes(head.readUInt16BE(0))) return true;
  try {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what text has none of
    return !/[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(
      new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true }),
    );
  } catch {
    return false;
  }
}
