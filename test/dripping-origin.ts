import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** A film behind a URL on this machine, which comes bit by bit until the test has seen enough of its progress. */
export interface DrippingOrigin {
  /** What lets a stack read it. */
  readonly env: Readonly<Record<string, string>>;
  /** The film as an upload names it. */
  readonly film: { readonly size: number; readonly origin: { readonly kind: 'url'; readonly url: string } };
  /** Lets the rest of it come at once. */
  pour(): void;
  close(): Promise<void>;
}

/** As large as a part: progress is told by parts. */
const CHUNK = Buffer.alloc(8 * 1024 ** 2, 7);
const CHUNKS = 40;
/** Milliseconds from one chunk to the next; longer than workers wait from one report of progress to the next. */
const DRIP = 300;

export async function startDrippingOrigin(): Promise<DrippingOrigin> {
  let drips = true;
  const server = createServer(async (_request, response) => {
    response.writeHead(200, { 'content-length': CHUNK.length * CHUNKS });
    for (let sent = 0; sent < CHUNKS; sent += 1) {
      response.write(CHUNK);
      if (drips) await pause(DRIP);
    }
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    env: { URL_ORIGIN_PORTS: String(port), URL_ORIGIN_ALLOW_CIDRS: '127.0.0.0/8' },
    film: { size: CHUNK.length * CHUNKS, origin: { kind: 'url', url: `http://127.0.0.1:${port}/film.mp4` } },
    pour() {
      drips = false;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
