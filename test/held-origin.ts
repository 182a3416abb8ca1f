import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { until } from './until.ts';

/** Files behind URLs on this machine, whose bytes come when the test says so. */
export interface HeldOrigin {
  readonly port: number;
  /** URL of a new file: `first` bytes come at once, the rest when it is released. */
  hold(bytes: Buffer, first: number): HeldFile;
  close(): Promise<void>;
}

export interface HeldFile {
  readonly url: string;
  /** Lets all of the bytes through, now and later. */
  release(): void;
  /** Cuts the next requests off after the first bytes. */
  cut(times: number): void;
  /** Cuts off whoever reads now. */
  drop(): void;
  /** Resolves once somebody reads it. */
  read(): Promise<void>;
  /** Requests that are open now. */
  readers(): number;
  /** Requests so far. */
  requests(): number;
}

export async function startHeldOrigin(): Promise<HeldOrigin> {
  const files: ((response: ServerResponse) => void)[] = [];
  const server = createServer((request, response) => files[Number(request.url?.slice(1))]?.(response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  return {
    port,
    hold(bytes, first) {
      const open = new Set<ServerResponse>();
      let released = false;
      let cuts = 0;
      let requests = 0;
      const index = files.push((response) => {
        requests += 1;
        open.add(response);
        response.once('close', () => open.delete(response));
        response.writeHead(200, { 'content-type': 'application/octet-stream' });
        if (released) return void response.end(bytes);
        response.write(bytes.subarray(0, first));
        if (cuts > 0) {
          cuts -= 1;
          response.socket?.end();
        }
      });
      return {
        url: `http://127.0.0.1:${port}/${index - 1}`,
        release() {
          released = true;
          for (const response of open) response.end(bytes.subarray(first));
        },
        cut: (times) => {
          cuts = times;
        },
        drop() {
          for (const response of open) response.socket?.end();
        },
        read: async () => void (await until(() => requests > 0, { within: 10_000, what: 'the origin to be read' })),
        readers: () => open.size,
        requests: () => requests,
      };
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
