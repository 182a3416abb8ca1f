import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

/** A call as it arrives: `path` is `file:function`. */
export interface EdgeCall {
  readonly path: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly authorization: string | undefined;
}

/** What the edge does with a call: a value, an error of the function, another status (and body), silence, or a cut in the answer. */
export type EdgeAnswer =
  | { readonly value: unknown }
  | { readonly refuse: string; readonly data?: unknown }
  | { readonly status: number; readonly body?: string }
  | 'silence'
  | 'cut';

/** The HTTP face of a Convex whose every answer the test decides. */
export interface ConvexEdge {
  readonly url: string;
  readonly calls: EdgeCall[];
  close(): Promise<void>;
}

export async function startConvexEdge(
  answer: (call: EdgeCall) => EdgeAnswer | Promise<EdgeAnswer>,
): Promise<ConvexEdge> {
  const calls: EdgeCall[] = [];
  const server = createServer(async (request, response) => {
    const body = JSON.parse(await text(request)) as { path: string; args: [Record<string, unknown>] };
    const call = { path: body.path, args: body.args[0], authorization: request.headers.authorization };
    calls.push(call);
    const given = await answer(call);
    if (given === 'silence') return;
    if (given === 'cut') {
      response.writeHead(200, { 'content-length': 1_000 });
      response.write('{"status":');
      request.socket.end();
    } else if ('status' in given) response.writeHead(given.status).end(given.body ?? 'no');
    else if ('value' in given) response.end(JSON.stringify({ status: 'success', value: given.value, logLines: [] }));
    else {
      const said = { status: 'error', errorMessage: given.refuse, errorData: given.data, logLines: [] };
      response.writeHead(560).end(JSON.stringify(said));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The port could not be read.');
  return {
    url: `http://127.0.0.1:${address.port}`,
    calls,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
