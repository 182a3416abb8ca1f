import { isIP } from 'node:net';
import type { UrlOrigins } from '#config';
import { AppError } from '#errors';
import { judgeAddresses } from './public-address.ts';

/** What a `url` origin may be. One judge for the API, which has only the URL, and the worker, which connects. */
export interface UrlPolicy {
  readonly limits: UrlOrigins;
  /** Parses and judges a URL as far as it can be without asking a resolver. Throws `URL_NOT_ALLOWED`. */
  parse(text: string): URL;
  /** Where a redirect leads, judged like any URL and never from https to http. Throws `URL_NOT_ALLOWED`. */
  follow(location: string, from: URL): URL;
  /** Judges an address that a name resolved to. */
  isAllowedAddress(address: string): boolean;
  /** Throws `TOO_LARGE` past `limits.maxBytes`. */
  assertFits(size: number): void;
}

/** Names of metadata services; they resolve to addresses that are refused, here they are refused at the door. */
const METADATA_NAMES = new Set(['metadata.google.internal', 'metadata.goog']);
const MAX_SHOWN = 200;

/** Judges origins of kind `url` by `limits`: scheme, host, port and address. */
export function createUrlPolicy(limits: UrlOrigins): UrlPolicy {
  const isAllowedAddress = judgeAddresses(limits.allowCidrs);

  function judge(url: URL | null): URL {
    if (url === null || !['http:', 'https:'].includes(url.protocol))
      throw notAllowed('It is not an http or https URL.');
    if (url.username !== '' || url.password !== '') throw notAllowed('It carries a user or password.', url);
    const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
    if (!limits.ports.includes(port)) throw notAllowed(`Port ${port} is not one of URL_ORIGIN_PORTS.`, url);
    const host = url.hostname.replace(/^\[|\]$|\.$/g, '');
    // A literal address is connected to without asking the resolver, so it is judged here and nowhere else.
    const address = /(^|\.)localhost$/.test(host) ? '127.0.0.1' : host;
    if (METADATA_NAMES.has(host) || (isIP(address) !== 0 && !isAllowedAddress(address))) throw addressNotAllowed(url);
    return url;
  }

  return {
    limits,
    parse: (text) => judge(URL.parse(text)),
    follow(location, from) {
      const url = judge(URL.parse(location, from.href));
      if (from.protocol === 'https:' && url.protocol === 'http:')
        throw notAllowed('It redirects from https to http.', url);
      return url;
    },
    isAllowedAddress,
    assertFits(size) {
      if (size <= limits.maxBytes) return;
      const details = { size, maxBytes: limits.maxBytes };
      throw new AppError('TOO_LARGE', `The file behind the URL has more than ${limits.maxBytes} bytes.`, {
        details,
        nextAction: 'Upload a smaller file, or raise URL_ORIGIN_MAX_BYTES.',
      });
    },
  };
}

/** Host and path, for people: a query may hold credentials, as in signed URLs. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`.slice(0, MAX_SHOWN);
}

/** `URL_NOT_ALLOWED` for a URL that leads to an address which is not allowed. */
export function addressNotAllowed(url: URL): AppError {
  return notAllowed('It leads to an address that is not public.', url);
}

function notAllowed(why: string, url?: URL): AppError {
  return new AppError('URL_NOT_ALLOWED', `The URL is refused. ${why}`, { details: url ? { url: shownUrl(url) } : {} });
}
