import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** Where AWS's credentials come from, on loopback: STS, a container's endpoint, an instance's metadata. */
export interface StandInAws {
  readonly endpoint: string;
  /** The parameters of STS's calls so far. */
  readonly calls: URLSearchParams[];
  /** What is handed out next; `undefined` answers 503. */
  credentials: { token: string; expiration: Date } | undefined;
  close(): Promise<void>;
}

/** The access key is the token with `key-` before it. */
export async function startStandInAws(): Promise<StandInAws> {
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const { credentials } = standIn;
    if (credentials === undefined) return response.writeHead(503).end();
    const { token } = credentials;
    const expiration = credentials.expiration.toISOString();
    const json = { AccessKeyId: `key-${token}`, SecretAccessKey: 'secret', Token: token, Expiration: expiration };
    const { url = '' } = request;
    if (url === '/latest/api/token')
      return response.setHeader('x-aws-ec2-metadata-token-ttl-seconds', '60').end('imds');
    if (url.endsWith('/security-credentials/')) return response.end('a-role');
    if (request.method === 'GET') return response.end(JSON.stringify({ ...json, Code: 'Success' }));
    const call = new URLSearchParams(body);
    standIn.calls.push(call);
    const action = call.get('Action');
    const found = `<AccessKeyId>key-${token}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>${token}</SessionToken><Expiration>${expiration}</Expiration>`;
    response.setHeader('content-type', 'text/xml');
    return response.end(
      `<${action}Response><${action}Result><Credentials>${found}</Credentials></${action}Result></${action}Response>`,
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const standIn: StandInAws = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls: [],
    credentials: undefined,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return standIn;
}
