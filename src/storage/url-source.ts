import { lookup as resolveName } from 'node:dns';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import { AppError } from '#errors';
import { isPublicAddress } from './public-address.ts';
import type { Source } from './store.ts';
import { systemCode } from './system-error.ts';

export interface UrlSourceOptions {
  /** Judges every address that is about to be connected to. Default: public ones only. */
  readonly isAllowedAddress?: (address: string) => boolean;
  /** Resolves host names. Default: the system's resolver. */
  readonly lookup?: LookupFunction;
}

const MAX_REDIRECTS = 5;
/** Until the headers are there, connecting included. */
const ANSWER_MS = 15_000;
const IDLE_MS = 30_000;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * A file behind an http or https URL, fetched anew at each `open`. Throws `URL_NOT_ALLOWED` for another scheme, for
 * credentials in the URL and for an address that is not allowed, after each redirect too; `ORIGIN_NOT_FOUND` when the
 * server says so; `ORIGIN_UNREADABLE` when it fails or is silent. The bytes are as sent: nothing is unpacked.
 */
export function urlSource(url: string, options: UrlSourceOptions = {}): Source {
  return {
    async open(offset, signal) {
      let address = parseUrl(url);
      for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
        const answer = await fetchHeaders(address, offset, options, signal);
        const location = answer.headers.location;
        if (!REDIRECTS.has(answer.statusCode ?? 0) || location === undefined) return readFrom(answer, offset);
        answer.destroy();
        address = parseUrl(location, address);
      }
      throw new AppError('ORIGIN_UNREADABLE', `The URL redirects more than ${MAX_REDIRECTS} times.`);
    },
  };
}

function parseUrl(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) throw notAllowed('It is not an http or https URL.');
  if (url.username !== '' || url.password !== '') throw notAllowed('It carries credentials.');
  return url;
}

async function fetchHeaders(
  url: URL,
  offset: number,
  { isAllowedAddress = isPublicAddress, lookup = resolveName }: UrlSourceOptions,
  signal: AbortSignal | undefined,
): Promise<IncomingMessage> {
  // Connecting to a literal address asks no resolver, so it is judged here.
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(literal) !== 0 && !isAllowedAddress(literal)) throw addressNotAllowed();
  const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
    // A connection of its own: one kept from before was judged for another host.
    agent: false,
    lookup: judgedLookup(lookup, isAllowedAddress),
    headers: { 'accept-encoding': 'identity', ...(offset > 0 ? { range: `bytes=${offset}-` } : {}) },
    ...(signal ? { signal } : {}),
  });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const deadline = setTimeout(() => request.destroy(new Error('no answer in time')), ANSWER_MS);
  request.setTimeout(IDLE_MS, () => request.destroy(new Error('silent for too long')));
  request.once('response', resolve).on('error', reject).end();
  try {
    return await promise;
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof AppError ? error : unreadable(error);
  } finally {
    clearTimeout(deadline);
  }
}

/** Hands on only what was judged, so the address connected to is the address allowed, whatever the name says next. */
function judgedLookup(lookup: LookupFunction, isAllowed: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) =>
    lookup(hostname, options, (error, address, family) => {
      const addresses = typeof address === 'string' ? [address] : (address ?? []).map((found) => found.address);
      const refused = error === null && !addresses.every(isAllowed) ? addressNotAllowed() : error;
      callback(refused, address, family);
    });
}

/** The body from `offset` on; a server that ignores ranges sends what is before it too. */
async function readFrom(answer: IncomingMessage, offset: number): Promise<Readable> {
  const status = answer.statusCode ?? 0;
  const start = /^bytes (\d+)-/.exec(answer.headers['content-range'] ?? '')?.[1];
  if (status === 206 && Number(start) === offset) return answer;
  if (status === 200) return offset === 0 ? answer : Readable.from(skip(answer, offset), { objectMode: false });
  answer.destroy();
  const isTransient = status >= 500 || [206, 408, 416, 425, 429].includes(status);
  throw new AppError(
    isTransient ? 'ORIGIN_UNREADABLE' : 'ORIGIN_NOT_FOUND',
    `The URL answered with status ${status}.`,
    { details: { status } },
  );
}

async function* skip(answer: IncomingMessage, offset: number): AsyncGenerator<Buffer> {
  let left = offset;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    if (chunk.length > left) yield chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
  }
}

function unreadable(error: unknown): AppError {
  const code = systemCode(error) === 'ENOTFOUND' ? 'ORIGIN_NOT_FOUND' : 'ORIGIN_UNREADABLE';
  const message = `The URL could not be read: ${error instanceof Error ? error.message : String(error)}.`;
  return new AppError(code, message, { cause: error });
}

function notAllowed(why: string): AppError {
  return new AppError('URL_NOT_ALLOWED', `The URL is refused. ${why}`);
}

function addressNotAllowed(): AppError {
  return notAllowed('It leads to an address that is not public.');
}
