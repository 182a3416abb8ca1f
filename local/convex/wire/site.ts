import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as WebStream } from 'node:stream/web';
import { type Identity, NOBODY } from '#local/convex/auth/auth.ts';
import type { Engine } from '#local/convex/engine.ts';
import { LARGEST_HTTP_BODY } from '#local/convex/values/limits.ts';

/** Serves the HTTP actions of `http.ts`. They see requests as sent to `url`. */
export function siteListener(engine: Engine, url: string): RequestListener {
  return (incoming, outgoing) => {
    answer(engine, url, incoming, outgoing).catch((error: unknown) => {
      // A body that breaks off in the middle, or whose client is gone, has no other end.
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(400).end(`${error instanceof Error ? error.message : error}\n`);
    });
  };
}

async function answer(engine: Engine, url: string, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  if (Number(incoming.headers['content-length'] ?? 0) > LARGEST_HTTP_BODY) {
    outgoing.writeHead(413).end(`A request may have ${LARGEST_HTTP_BODY} bytes.\n`);
    return;
  }
  const gone = new AbortController();
  outgoing.once('close', () => gone.abort());
  const request = requestOf(url, incoming, gone.signal);
  await engine.httpActions.answer(request, await identify(engine, incoming), (response) => send(response, outgoing));
}

function requestOf(url: string, incoming: IncomingMessage, signal: AbortSignal): Request {
  const { method = 'GET', rawHeaders } = incoming;
  const headers = new Headers();
  for (let at = 0; at < rawHeaders.length; at += 2) headers.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '');
  const hasBody = method !== 'GET' && method !== 'HEAD';
  const body = hasBody ? (Readable.toWeb(incoming.pipe(limited())) as ReadableStream) : null;
  return new Request(`${url}${incoming.url}`, { method, headers, body, signal, duplex: 'half' } as RequestInit);
}

/** Lets through as much as a request may have. */
function limited(): Transform {
  let left = LARGEST_HTTP_BODY;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      left -= chunk.length;
      if (left < 0) done(new Error(`A request may have ${LARGEST_HTTP_BODY} bytes.`));
      else done(null, chunk);
    },
  });
}

/** Who calls, when the header is a token of ours; others' tokens are the action's own business. */
async function identify(engine: Engine, { headers }: IncomingMessage): Promise<Identity> {
  const [scheme, token = ''] = (headers.authorization ?? '').split(/ (.*)/s);
  if (scheme !== 'Bearer') return NOBODY;
  return engine.authenticator.user(token).catch(() => NOBODY);
}

async function send(response: Response, outgoing: ServerResponse): Promise<void> {
  const cookies = response.headers.getSetCookie();
  for (const [name, value] of response.headers) if (name !== 'set-cookie') outgoing.setHeader(name, value);
  if (cookies.length > 0) outgoing.setHeader('set-cookie', cookies);
  outgoing.writeHead(response.status);
  if (response.body) await pipeline(Readable.fromWeb(response.body as WebStream), outgoing);
  else outgoing.end();
}
