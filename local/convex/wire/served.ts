import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server that has its port, and answers 503 until it is told what to serve. */
export interface Served {
  readonly server: Server;
  readonly url: string;
  serve(listener: RequestListener): void;
  /** Lets requests under way end, for two seconds. */
  close(): Promise<void>;
}

const CLOSING_MS = 2_000;

/** Takes a port; 0 takes a free one. Throws a sentence when it is in use. */
export async function openServer(port: number, host: string): Promise<Served> {
  let current: RequestListener = (_request, response) => {
    response.writeHead(503, { 'retry-after': '1' }).end('The engine is starting.\n');
  };
  const server = createServer((request, response) => current(request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  }).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EADDRINUSE' ? new Error(`Port ${port} on ${host} is in use.`) : error;
  });
  return {
    server,
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    serve(listener) {
      current = listener;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      setTimeout(() => server.closeAllConnections(), CLOSING_MS).unref();
      await closed;
    },
  };
}
