import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Requests under way get this long to finish when the server is closed. */
const GRACE_MS = 10_000;
/** How soon a connection is closed after its last answer, when the server is. */
const IDLE_LOOK_MS = 50;
/** A connection on which nothing moves for this long is closed; a slow upload takes as long as it needs. */
const IDLE_MS = 300_000;

interface Serving {
  readonly port: number;
  /** Takes no more connections, and resolves once the requests under way have ended, 10 s at the most. */
  close(): Promise<void>;
}

/** Listens on `host` and `port`; 0 picks a free one. */
export async function serve(
  listener: RequestListener,
  { host, port }: { host: string; port: number },
): Promise<Serving> {
  const server = createServer({ requestTimeout: 0 }, listener);
  server.setTimeout(IDLE_MS);
  server.listen(port, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      // A connection that was kept for more has had its last answer.
      const idle = setInterval(() => server.closeIdleConnections(), IDLE_LOOK_MS);
      const cut = setTimeout(() => server.closeAllConnections(), GRACE_MS);
      await closed;
      clearInterval(idle);
      clearTimeout(cut);
    },
  };
}
