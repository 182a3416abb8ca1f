import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** A server that says what a well-made one would not. */
export interface RawServer {
  readonly port: number;
  /** Connections so far. */
  connections(): number;
  close(): Promise<void>;
}

/** Answers each request with exactly these bytes and closes, or as `talk` does; `request` is its head as text. */
export async function serveRaw(
  talk: string | ((socket: Socket, request: string) => void),
  host = '127.0.0.1',
): Promise<RawServer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.once('data', (head) => {
      if (typeof talk === 'string') socket.end(talk);
      else talk(socket, String(head));
    });
  });
  server.listen(0, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A server that only counts who comes. */
export function acceptConnections(): Promise<RawServer> {
  return serveRaw(() => undefined);
}
