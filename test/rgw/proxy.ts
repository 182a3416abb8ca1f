import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';

/** A way to a store that a test can watch and spoil. */
export interface StoreProxy {
  readonly endpoint: string;
  /** Requests so far, with the bytes of their bodies. */
  readonly seen: { readonly method: string; readonly url: URL; bytes: number }[];
  close(): Promise<void>;
}

/** What to do with a request: `true` means that it was answered here. */
export type Intercept = (request: IncomingMessage, url: URL, response: ServerResponse) => Promise<boolean>;

/** Passes everything on to `target` after `intercept`; the chunks of bodies as `damage` leaves them, the signed heads unchanged. */
export async function startProxy(
  target: string,
  intercept: Intercept = async () => false,
  damage: (chunk: Buffer) => Buffer = (chunk) => chunk,
): Promise<StoreProxy> {
  const seen: StoreProxy['seen'] = [];
  const { hostname, port } = new URL(target);
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', target);
    const entry = { method: request.method ?? '', url, bytes: 0 };
    seen.push(entry);
    if (await intercept(request, url, response)) return;
    const { method, headers, url: path } = request;
    const onward = httpRequest({ hostname, port, method, headers, path }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.on('error', () => onward.destroy());
    pipeline(
      request,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          entry.bytes += chunk.length;
          yield damage(chunk);
        }
      },
      onward,
    ).catch(() => onward.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
