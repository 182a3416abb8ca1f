import { AppError } from '#errors';
import type { UrlEntry } from './entry.ts';

/** A stored URL is not handed out in its last minute: it would die in the reader's hands. */
const MARGIN_MS = 60_000;

export interface UrlWish {
  /** `public` insists on an unsigned URL, `signed` on a signed one. */
  readonly type?: 'public' | 'signed' | undefined;
  /** A URL that saves a file instead of showing it; always signed anew. */
  readonly download?: boolean | undefined;
}

export interface Bases {
  /** Where public assets are served unsigned, when they are. */
  readonly publicBaseUrl: string | undefined;
  /** The API's own address, put before URLs it serves itself; rows keep none. */
  readonly publicUrl: string;
}

export interface ChosenUrl {
  readonly url: string;
  /** Undefined when it does not expire. */
  readonly expiresAt?: number | undefined;
}

/**
 * The URL that is at hand for a ready asset, or undefined when one has to be signed.
 * Throws `CONFLICT` when an unsigned URL was asked for and the asset has none.
 */
export function chooseUrl(entry: UrlEntry, wish: UrlWish, bases: Bases, now: number): ChosenUrl | undefined {
  const isPublic = entry.visibility === 'public' && bases.publicBaseUrl !== undefined;
  if (wish.type === 'public' && !isPublic) {
    const why = entry.visibility === 'public' ? 'no S3_PUBLIC_BASE_URL is set' : 'it is private';
    throw new AppError('CONFLICT', `Asset ${entry.assetId} has no public URL: ${why}.`);
  }
  if (isPublic && wish.type !== 'signed' && !wish.download) {
    return { url: `${bases.publicBaseUrl}/${entry.s3Key.split('/').map(encodeURIComponent).join('/')}` };
  }
  return wish.download ? undefined : storedUrl(entry, bases, now + MARGIN_MS);
}

/** The URL the row was committed with, when it still lives at `until`. */
export function storedUrl(entry: UrlEntry, bases: Bases, until: number): ChosenUrl | undefined {
  if (entry.s3Url === undefined || entry.urlExpiresAt === undefined || entry.urlExpiresAt <= until) return undefined;
  return { url: absolute(entry.s3Url, bases), expiresAt: entry.urlExpiresAt };
}

/** URLs the API serves itself come as paths. */
export function absolute(url: string, bases: Bases): string {
  return url.startsWith('/') ? bases.publicUrl + url : url;
}
