import type { IncomingMessage } from 'node:http';
import { AppError } from '#errors';
import { shownUrl, type UrlPolicy } from './url-policy.ts';
import type { Answer } from './url-request.ts';

/** What tells one version of a file from the next. */
export interface Version {
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  /** Bytes of the whole file, when the server says. */
  readonly size: number | undefined;
  /** For `If-Range`; undefined when the server gave nothing strong enough. */
  readonly guard: string | undefined;
  /** Whether the server says that it sends ranges of it. */
  readonly ranges: boolean;
}

/** A body that is the file from some byte on. */
export interface Body {
  readonly version: Version;
  /** Bytes of the body that come before the ones asked for. */
  readonly before: number;
  /** True when a body that was cut off cannot be taken for a whole one. */
  readonly hasEnd: boolean;
}

/** What was asked for. */
export interface Asked {
  readonly offset: number;
  /** Bytes of the whole file as announced. */
  readonly size?: number | undefined;
  /** The version that the bytes before `offset` are of; undefined when nobody has any. */
  readonly version?: Version | undefined;
}

const TRANSIENT = new Set([206, 408, 416, 425, 429]);
const LOCKED = new Set([401, 403, 407]);

/**
 * Judges an answer by its headers, before a byte of it is read. Throws `ORIGIN_NOT_FOUND` for a status that stays,
 * `ORIGIN_UNREADABLE` for one that may pass and for a body that is not the file asked for, `SIZE_MISMATCH` and
 * `TOO_LARGE` for one of another size.
 */
export function judgeAnswer({ message, url }: Answer, asked: Asked, policy: UrlPolicy): Body {
  const fail = (code: 'ORIGIN_NOT_FOUND' | 'ORIGIN_UNREADABLE', what: string, nextAction?: string) =>
    new AppError(code, `The URL ${what}`, {
      details: { url: shownUrl(url), status: message.statusCode },
      ...(nextAction ? { nextAction } : {}),
    });
  const { statusCode: status = 0, headers } = message;
  const range = status === 206 && asked.offset > 0 ? rangeOf(message) : undefined;
  const isRest = range !== undefined && range.start === asked.offset && range.end === range.size - 1;
  if (status !== 200 && !isRest) throw statusError(status, fail);

  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding.trim().toLowerCase() !== 'identity') {
    throw fail(
      'ORIGIN_UNREADABLE',
      `sent its bytes packed (Content-Encoding: ${encoding.slice(0, 40)}), though asked for them as they are.`,
      'Have the server send the file without a Content-Encoding, or upload the bytes as a form.',
    );
  }
  const transfer = headers['transfer-encoding'];
  if (transfer !== undefined && transfer.trim().toLowerCase() !== 'chunked') {
    throw fail('ORIGIN_UNREADABLE', 'sent its bytes in an unknown Transfer-Encoding.');
  }

  const version = versionOf(message, range?.size);
  const hasEnd = transfer !== undefined || headers['content-length'] !== undefined;
  if (!hasEnd && asked.size === undefined) {
    throw fail(
      'ORIGIN_UNREADABLE',
      'does not say how long the file is, so a cut transfer would pass for a whole one.',
      "Announce the file's size, or have the server send a Content-Length.",
    );
  }
  if (version.size !== undefined) {
    policy.assertFits(version.size);
    if (asked.size !== undefined && asked.size !== version.size) throw sizeMismatch(asked.size, version.size);
  }
  if (asked.version && !isSame(asked.version, version, isRest)) {
    throw fail('ORIGIN_UNREADABLE', 'has another version of the file since its first bytes were read.');
  }
  return { version, before: isRest ? 0 : asked.offset, hasEnd };
}

/** `SIZE_MISMATCH`; `actual` bytes came, or were to come. */
export function sizeMismatch(announced: number, actual: number): AppError {
  const than = actual > announced ? 'more' : 'fewer';
  return new AppError('SIZE_MISMATCH', `The file behind the URL has ${than} than the ${announced} bytes announced.`, {
    details: { announced, actual },
  });
}

function statusError(
  status: number,
  fail: (code: 'ORIGIN_NOT_FOUND' | 'ORIGIN_UNREADABLE', what: string, nextAction?: string) => AppError,
): AppError {
  if (LOCKED.has(status)) {
    const nextAction = 'Use a URL that can be read without logging in; a signed one may have run out.';
    return fail('ORIGIN_NOT_FOUND', `may not be read: its server answered with status ${status}.`, nextAction);
  }
  const isTransient = status >= 500 || TRANSIENT.has(status);
  return fail(isTransient ? 'ORIGIN_UNREADABLE' : 'ORIGIN_NOT_FOUND', `answered with status ${status}.`);
}

function rangeOf({ headers }: IncomingMessage): { start: number; end: number; size: number } | undefined {
  const found = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers['content-range'] ?? '');
  return found ? { start: Number(found[1]), end: Number(found[2]), size: Number(found[3]) } : undefined;
}

function versionOf({ headers }: IncomingMessage, total: number | undefined): Version {
  const { etag, date, 'last-modified': lastModified, 'content-length': length } = headers;
  const size = total ?? (length === undefined ? undefined : Number(length));
  // RFC 9110, 8.8.2.2: a date is a strong validator only when the answer is at least a second younger.
  const isStrongDate = Date.parse(date ?? '') - Date.parse(lastModified ?? '') >= 1_000;
  const guard = etag !== undefined && !etag.startsWith('W/') ? etag : isStrongDate ? lastModified : undefined;
  const ranges = total !== undefined || /\bbytes\b/i.test(headers['accept-ranges'] ?? '');
  return { etag, lastModified, size, guard, ranges };
}

/** A part sent under `If-Range` is of the same version unless it says otherwise; a whole file must say that it is. */
function isSame(first: Version, now: Version, isRest: boolean): boolean {
  const pairs = [
    [first.etag, now.etag],
    [first.lastModified, now.lastModified],
    [first.size, now.size],
  ];
  const differs = pairs.some(([a, b]) => a !== undefined && b !== undefined && a !== b);
  return !differs && (isRest || (first.guard !== undefined && first.guard === now.guard));
}
