import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import type { Engine } from '#local/convex/engine.ts';
import { SyncSession } from './sync-session.ts';

const SYNC_PATH = /^\/api\/[^/]+\/sync$/;
/** How long clients have to answer a closing handshake. */
const CLOSING_MS = 1_000;
/** Clients give a silent server up after 60 s. */
const PING_EVERY_MS = 15_000;
/** A client that takes nothing for so long has stopped reading. */
const STUCK_MS = 45_000;
/** Far more than arguments may have: those beyond are refused by name, while a frame beyond this ends the connection. */
const LONGEST_MESSAGE = 64 * 1024 * 1024;

/**
 * Serves the sync protocol on the websockets of an HTTP server. Returns the way to end them all.
 * `stuckMs`: after how many milliseconds a client that does not read is cut off.
 */
export function serveSync(server: Server, engine: Engine, stuckMs = STUCK_MS): () => void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: LONGEST_MESSAGE });
  const sessions = new Set<SyncSession>();
  server.on('upgrade', (request, socket, head) => {
    // From here on nobody else listens: a connection that breaks would end the process.
    socket.on('error', () => socket.destroy());
    if (!SYNC_PATH.test((request.url ?? '').split('?')[0] ?? '')) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const session = new SyncSession(engine, webSocket, socket as Socket, stuckMs);
      sessions.add(session);
      webSocket.on('close', () => sessions.delete(session));
    });
  });
  const pinging = setInterval(() => {
    for (const session of sessions) session.ping();
  }, PING_EVERY_MS);
  return () => {
    clearInterval(pinging);
    for (const socket of sockets.clients) {
      socket.close(1001, 'The engine stops.');
      setTimeout(() => socket.terminate(), CLOSING_MS).unref();
    }
    sockets.close();
  };
}
