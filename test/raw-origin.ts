import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach } from 'vitest';
import { readConfig } from '#config';
import { createUrlPolicy } from '#storage/url-policy.ts';
import { type UrlSourceOptions, urlSource } from '#storage/url-source.ts';
import { serveRaw } from './raw-server.ts';

/** What a well-made server answers with. */
export const CONTENT = '0123456789';

/** What a raw server says. */
export type Talk = Parameters<typeof serveRaw>[0];
/** Where the source looks, and what it is told. */
export interface Reading extends UrlSourceOptions {
  readonly path?: string;
  readonly host?: string;
  readonly env?: NodeJS.ProcessEnv;
}

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

/** A source on a server of 127.0.0.1, which alone is allowed besides the public addresses. */
export async function sourceOf(
  talk: Talk,
  { path = '/clip.mp4', host = '127.0.0.1', env = {}, ...options }: Reading = {},
) {
  const server = await serveRaw(talk);
  closing.push(server.close);
  const allowed = { URL_ORIGIN_PORTS: String(server.port), URL_ORIGIN_ALLOW_CIDRS: '127.0.0.1/32' };
  const policy = createUrlPolicy(readConfig({ ...allowed, ...env }).urlOrigins);
  return { server, source: urlSource(`http://${host}:${server.port}${path}`, policy, options) };
}

/** What is read from the server, from `offset` on. */
export async function read(talk: Talk, options?: Reading, offset = 0): Promise<string> {
  const { source } = await sourceOf(talk, options);
  return textOf(await source.open(offset));
}

export const textOf = async (stream: Readable) => String(await buffer(stream));
/** An answer of HTTP, head and body. */
export const answer = (status: string, headers: readonly string[] = [], body = '') =>
  [`HTTP/1.1 ${status}`, ...headers, '', body].join('\r\n');
export const ok = (headers: readonly string[], body = CONTENT) => answer('200 OK', headers, body);
export const whole = ok([`Content-Length: ${CONTENT.length}`]);
export const chunked = (...chunks: string[]) =>
  ok(
    ['Transfer-Encoding: chunked'],
    [...chunks, ''].map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join(''),
  );
export const redirect = (location: string) => answer('302 Found', [`Location: ${location}`, 'Content-Length: 0']);
