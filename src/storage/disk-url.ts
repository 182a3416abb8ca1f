import { createHmac, timingSafeEqual } from 'node:crypto';
import { AppError } from '#errors';

/** What a signed URL of the disk store grants. `expiresAt` is milliseconds since the epoch, a whole second. */
export interface DiskUrl {
  readonly key: string;
  readonly expiresAt: number;
  /** Name of the download. */
  readonly filename?: string | undefined;
  /** True when a browser should save it rather than show it. */
  readonly download: boolean;
  /** Set when it grants not to read but to put this many bytes. */
  readonly put?: number | undefined;
}

const PATH = '/objects/';

/** The path and query that grant `url`: `/objects/<key>?expires=<seconds>&signature=…`. */
export function signDiskUrl(secret: Buffer, url: DiskUrl): string {
  const query = new URLSearchParams({ expires: String(url.expiresAt / 1000) });
  if (url.filename !== undefined) query.set('filename', url.filename);
  if (url.download) query.set('download', '1');
  if (url.put !== undefined) query.set('put', String(url.put));
  query.set('signature', signature(secret, url));
  return `${PATH}${url.key.split('/').map(encodeURIComponent).join('/')}?${query}`;
}

/**
 * What `pathAndQuery` (a request's, as it came) grants at `now`, milliseconds since the epoch. Throws `FORBIDDEN` when it
 * was not signed with `secret` or has expired.
 */
export function verifyDiskUrl(secret: Buffer, pathAndQuery: string, now: number): DiskUrl {
  const url = parse(pathAndQuery);
  const { given } = url;
  const expected = Buffer.from(signature(secret, url));
  const actual = Buffer.from(given);
  if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) {
    throw forbidden('The URL is not one that was signed here.');
  }
  if (now >= url.expiresAt) throw forbidden('The URL has expired.');
  const { given: _given, ...granted } = url;
  return granted;
}

function signature(secret: Buffer, { key, expiresAt, filename, download, put }: DiskUrl): string {
  const granted = JSON.stringify([
    key,
    expiresAt,
    filename ?? null,
    download,
    ...(put === undefined ? [] : ['PUT', put]),
  ]);
  return createHmac('sha256', secret).update(granted).digest('base64url');
}

/** Splits by hand: URL parsers resolve `%2e%2e`, and the key must be what was signed. */
function parse(pathAndQuery: string): DiskUrl & { given: string } {
  const [path = '', search = ''] = pathAndQuery.split('?', 2);
  const query = new URLSearchParams(search);
  return {
    key: path.startsWith(PATH) ? decode(path.slice(PATH.length)) : '',
    expiresAt: Number(query.get('expires')) * 1000,
    filename: query.get('filename') ?? undefined,
    download: query.get('download') === '1',
    put: query.has('put') ? Number(query.get('put')) : undefined,
    given: query.get('signature') ?? '',
  };
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    throw forbidden('The URL is not one that was signed here.', error);
  }
}

function forbidden(message: string, cause?: unknown): AppError {
  return new AppError('FORBIDDEN', message, {
    nextAction: "Ask for the asset's URL again and use it as it is.",
    cause,
  });
}
