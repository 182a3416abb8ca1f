import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A request as it came in, and who signed it for where. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly accessKeyId: string;
  readonly region: string;
}

/** What a refusal answers: S3's XML, which HEAD goes without. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** More elements of the body. */
  readonly elements?: string;
}

/** Objects in memory behind S3's API, for what no local server does: regions, sessions, answers of other vendors. */
export interface StandInS3 {
  readonly endpoint: string;
  readonly seen: SeenRequest[];
  /** Refuses requests while it answers; set by a test. */
  refuse: (request: SeenRequest) => Refusal | undefined;
  /** What it answers when it is asked for a list, as XML; set by a test. */
  listing: string;
  close(): Promise<void>;
}

const EMPTY_LIST = '<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>';

/** It keeps the SHA-256 sent along, as AWS does; it checks no signature. */
export async function startStandInS3(): Promise<StandInS3> {
  const objects = new Map<string, { bytes: Buffer; sha256: string | undefined }>();
  const server = createServer(async (request, response) => {
    const seenRequest = readRequest(request);
    const body = await buffer(request);
    standIn.seen.push(seenRequest);
    const refusal = standIn.refuse(seenRequest);
    const { method, path } = seenRequest;
    if (refusal) {
      const { status, code, headers = {}, elements = '' } = refusal;
      const words = `<Error><Code>${code}</Code><Message>${code}</Message>${elements}</Error>`;
      return response.writeHead(status, headers).end(method === 'HEAD' ? undefined : words);
    }
    if (method === 'PUT') {
      objects.set(path, { bytes: body, sha256: header(request, 'x-amz-checksum-sha256') });
      return response.writeHead(200, { etag: etagOf(body) }).end();
    }
    if (method === 'DELETE') objects.delete(path);
    if (method === 'DELETE') return response.writeHead(204).end();
    if (path.split('/').length === 2) return response.end(method === 'POST' ? '<DeleteResult/>' : standIn.listing);
    const found = objects.get(path);
    if (found === undefined) return response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>');
    response.setHeader('content-length', found.bytes.length).setHeader('etag', etagOf(found.bytes));
    if (found.sha256) response.setHeader('x-amz-checksum-sha256', found.sha256);
    return response.end(method === 'HEAD' ? undefined : found.bytes);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const standIn: StandInS3 = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: [],
    refuse: () => undefined,
    listing: EMPTY_LIST,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return standIn;
}

function readRequest(request: IncomingMessage): SeenRequest {
  const { method = '', url = '/', headers } = request;
  const [, accessKeyId = '', region = ''] =
    /Credential=([^/]+)\/\d+\/([^/]+)\//.exec(headers.authorization ?? '') ?? [];
  return { method, path: new URL(url, 'http://s3').pathname.replace(/\/$/, ''), headers, accessKeyId, region };
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

function etagOf(bytes: Buffer): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`;
}
