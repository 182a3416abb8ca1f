import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';

/** Stands between a caller and an API, and breaks what it is told to. */
export interface LossyProxy {
  readonly url: string;
  /** Lets the next request to `path` (a prefix) through, and breaks the connection instead of passing the answer on. */
  loseAnswer(path: string): void;
  /** From now on answers every request to a path that `away` accepts with 503, without asking the API. */
  takeAway(away: (path: string) => boolean): void;
  close(): Promise<void>;
}

export async function startLossyProxy(apiUrl: string): Promise<LossyProxy> {
  const lost: string[] = [];
  let away = (_path: string) => false;

  async function ask(incoming: IncomingMessage): Promise<IncomingMessage> {
    const { method, headers, url } = incoming;
    const outgoing = httpRequest(apiUrl + url, { method, headers });
    const answered = once(outgoing, 'response');
    // A connection that breaks is seen by who waits for the answer.
    pipeline(incoming, outgoing).catch(() => undefined);
    const [answer] = await answered;
    return answer;
  }

  const server = createServer((incoming, response) => {
    const path = incoming.url ?? '/';
    if (away(path)) {
      response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '1' });
      response.end(JSON.stringify({ error: unavailable }));
      return;
    }
    ask(incoming)
      .then(async (answer) => {
        const index = lost.findIndex((prefix) => path.startsWith(prefix));
        if (index >= 0) {
          lost.splice(index, 1);
          answer.resume();
          response.destroy();
          return;
        }
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        await pipeline(answer, response);
      })
      .catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    loseAnswer: (path) => void lost.push(path),
    takeAway(paths) {
      away = paths;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const unavailable = {
  code: 'METADATA_UNAVAILABLE',
  message: 'Convex is away.',
  retryable: true,
  nextAction: 'Work waits and goes on when it returns.',
  details: {},
};
