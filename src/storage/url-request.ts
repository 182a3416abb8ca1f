import { lookup as resolveName } from 'node:dns';
import { type IncomingMessage, type OutgoingHttpHeaders, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import { AppError } from '#errors';
import { systemCode } from './system-error.ts';
import type { Patience } from './url-patience.ts';
import { addressNotAllowed, shownUrl, type UrlPolicy } from './url-policy.ts';

/** How a request is made, and who judges it. */
export interface Way {
  readonly policy: UrlPolicy;
  /** Resolves host names. Default: the system's resolver. */
  readonly lookup?: LookupFunction | undefined;
  readonly patience: Patience;
  /** Milliseconds until the headers of one answer are there. */
  readonly answerWithin: number;
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly message: IncomingMessage;
  /** Where the redirects led. */
  readonly url: URL;
}

const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const MAX_HEADER_BYTES = 16 * 1024;

/**
 * The headers of what `text` leads to, through five redirects at most, each judged like the first URL. Throws
 * `URL_NOT_ALLOWED`, `ORIGIN_NOT_FOUND` for a name that has no address, else `ORIGIN_UNREADABLE`.
 */
export async function requestUrl(text: string, headers: OutgoingHttpHeaders, way: Way): Promise<Answer> {
  let url = way.policy.parse(text);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const message = await fetchHeaders(url, headers, way);
    const { location } = message.headers;
    if (!REDIRECTS.has(message.statusCode ?? 0) || location === undefined) return { message, url };
    message.destroy();
    url = way.policy.follow(location, url);
  }
  throw new AppError('ORIGIN_UNREADABLE', `The URL redirects more than ${MAX_REDIRECTS} times.`);
}

/** What broke while a URL was asked or read, in our words; our own errors pass. */
export function unreadable(error: unknown, url: URL): AppError {
  if (error instanceof AppError) return error;
  const code = systemCode(error);
  const message = (error instanceof Error ? error.message : String(error)) || code;
  // Node's word for a connection that ended before the answer did.
  const said = message === 'aborted' ? 'it broke off before its end' : message;
  return new AppError(
    code === 'ENOTFOUND' ? 'ORIGIN_NOT_FOUND' : 'ORIGIN_UNREADABLE',
    `The URL could not be read: ${said}.`,
    {
      cause: error,
      details: { url: shownUrl(url) },
    },
  );
}

async function fetchHeaders(url: URL, headers: OutgoingHttpHeaders, way: Way): Promise<IncomingMessage> {
  const { patience, answerWithin, signal } = way;
  signal.throwIfAborted();
  const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
    // A connection of its own: one kept from before was judged for another host, and a proxy would resolve by itself.
    agent: false,
    lookup: judgedLookup(url, way),
    maxHeaderSize: MAX_HEADER_BYTES,
    // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
    rejectUnauthorized: true,
    headers: { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'reelay', ...headers },
    signal,
  });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request.on('response', (message) => {
    resolve(message);
    // What comes after the announced end, or breaks the connection, is an error of the body, which its reader sees.
    request.on('error', (error) => message.destroy(error));
    message.on('error', () => undefined);
  });
  request.on('error', reject);
  // A server that would rather speak another protocol is closed without an error.
  request.on('close', () => reject(new Error('the connection was closed without an answer')));
  request.end();
  try {
    return await patience.during(promise, answerWithin, (why) => request.destroy(why));
  } catch (error) {
    signal.throwIfAborted();
    throw unreadable(error, url);
  }
}

/** Hands on only what was judged, so the address connected to is the address allowed, whatever the name says next. */
function judgedLookup(url: URL, { policy, lookup = resolveName }: Way): LookupFunction {
  return (hostname, options, callback) =>
    lookup(hostname, options, (error, address, family) => {
      const addresses = typeof address === 'string' ? [address] : (address ?? []).map((found) => found.address);
      callback(error ?? refusalOf(addresses), address, family);
    });

  function refusalOf(addresses: readonly string[]): AppError | null {
    if (addresses.length === 0) return new AppError('ORIGIN_NOT_FOUND', `${url.hostname} has no address.`);
    return addresses.every(policy.isAllowedAddress) ? null : addressNotAllowed(url);
  }
}
