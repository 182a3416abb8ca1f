import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { Busboy } from '@fastify/busboy';
import { createStandInViews, mismatch, notFound, type Received, unauthenticated } from './stand-in-views.ts';

export interface StandInApi {
  readonly url: string;
  /** The only key it takes. */
  readonly key: string;
  readonly received: readonly Received[];
  /** Bytes of all forms read so far. */
  readonly bytesRead: () => number;
  /** Method and path of each request, in order. */
  readonly requests: readonly string[];
  /** Answers the next request to `path` (a prefix, with its query) this way instead of its own. */
  answerOnce(path: string, status: number, headers?: Record<string, string>, body?: unknown): void;
  /** Carries out the next request to `path` (a prefix) and breaks the connection instead of answering. */
  loseAnswerOnce(path: string): void;
  /** Forgets all it was sent, as a new API does. */
  forget(): void;
  close(): Promise<void>;
}

interface InlineFile {
  readonly filename: string;
  readonly contentType?: string;
  readonly origin: { readonly text?: string; readonly base64?: string };
}

/**
 * An HTTP server that speaks as much of `/openapi.json` as the client and the CLI use, and keeps what it
 * is sent in memory, as hashes. A batch is `running` when first asked for, then `done`, and its assets are ready from
 * the start; a file with `corrupt` in its name fails. A request under a known idempotency key is a duplicate. For what a real API cannot be made to do on demand.
 */
export async function startStandInApi(): Promise<StandInApi> {
  const key = 'rk_stand-in';
  const received: Received[] = [];
  const requests: string[] = [];
  const { urlsOf, jobOf, read } = createStandInViews(received);
  const canned: { path: string; status: number; headers: Record<string, string>; body: unknown }[] = [];
  const named = new Map<string, { body: string; answer: unknown }>();
  const lost: string[] = [];
  let bytesRead = 0;
  const newId = (prefix: string) => prefix + randomBytes(15).toString('base64url');

  function accept(batchId: string) {
    const files = received.filter((file) => file.batchId === batchId);
    const size = files.reduce((sum, file) => sum + file.size, 0);
    const names = files.map(({ assetId, filename }) => ({ assetId, filename }));
    return { batchId, outcome: 'created', jobs: [{ jobId: `${batchId}-0`, lane: 'small', size, files: names }] };
  }

  /** Takes in what `body` sums up, unless it came before under the same key: then nothing is kept of it. */
  function once(request: IncomingMessage, files: readonly Received[]): { status: number; body: unknown } {
    const key = String(request.headers['idempotency-key'] ?? newId(''));
    const body = JSON.stringify(files.map(({ assetId: _a, batchId: _b, ...facts }) => facts));
    const before = named.get(key);
    if (before && before.body !== body) return { status: 409, body: { error: mismatch } };
    if (before) return { status: 202, body: { ...(before.answer as object), outcome: 'duplicate' } };
    received.push(...files);
    const answer = accept(files[0]?.batchId ?? '');
    named.set(key, { body, answer });
    return { status: 202, body: answer };
  }

  async function receiveForm(request: IncomingMessage, batchId: string) {
    const files: Received[] = [];
    const fields: Record<string, string> = {};
    const busboy = new Busboy({
      headers: { ...request.headers, 'content-type': request.headers['content-type'] ?? '' },
      preservePath: true,
    });
    busboy.on('field', (name, value) => {
      fields[name] = value;
    });
    busboy.on('file', (_name, stream, filename, _encoding, contentType) => {
      const hash = createHash('sha256');
      let size = 0;
      stream.on('data', (chunk: Buffer) => {
        hash.update(chunk);
        size += chunk.length;
        bytesRead += chunk.length;
      });
      stream.on('end', () => {
        const checksum = hash.digest('hex');
        files.push({ ...{ assetId: newId('a_'), batchId, filename, contentType, size, fields }, checksum });
      });
    });
    await pipeline(request, busboy);
    return once(request, files);
  }

  function receiveJson(request: IncomingMessage, body: { files: InlineFile[] }, batchId: string) {
    const { files, ...fields } = body;
    const taken = files.map((file): Received => {
      const bytes = Buffer.from(file.origin.base64 ?? file.origin.text ?? '', file.origin.base64 ? 'base64' : 'utf8');
      const { filename, contentType } = file;
      const checksum = createHash('sha256').update(bytes).digest('hex');
      return {
        ...{ assetId: newId('a_'), batchId, filename, contentType, size: bytes.length, checksum },
        fields: { ...fields, ...file },
      };
    });
    return once(request, taken);
  }

  function plan({ files }: { files: InlineFile[] }) {
    const size = files.reduce((sum, { origin }) => sum + (origin.text?.length ?? 0), 0);
    return { outcome: 'planned', jobs: [{ lane: 'small', size, files: files.map(({ filename }) => ({ filename })) }] };
  }

  async function receive(request: IncomingMessage, url: URL): Promise<{ status: number; body: unknown }> {
    if (url.pathname === '/v1/uploads/files') return receiveForm(request, newId('b_'));
    const body = JSON.parse(await text(request));
    return url.searchParams.has('dryRun') ? { status: 200, body: plan(body) } : receiveJson(request, body, newId('b_'));
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://stand-in');
    requests.push(`${request.method} ${request.url}`);
    const index = canned.findIndex(({ path }) => request.url?.startsWith(path));
    const [answer] = index < 0 ? [] : canned.splice(index, 1);
    if (answer) {
      response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
      response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
      return;
    }
    const send = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (request.headers.authorization !== `Bearer ${key}`) return send(401, { error: unauthenticated });
    if (url.pathname.startsWith('/v1/uploads')) {
      const { status, body } = await receive(request, url);
      const index = lost.indexOf(url.pathname);
      if (index < 0) return send(status, body);
      lost.splice(index, 1);
      request.socket.destroy();
      return;
    }
    if (url.pathname === '/v1/assets/urls')
      return send(200, { urls: urlsOf(JSON.parse(await text(request)).assetIds) });
    if (request.method === 'DELETE') return send(202, jobOf((url.pathname.split('/')[3] ?? '').replace(/-0$/, '')));
    if (url.searchParams.has('redirect')) {
      response.writeHead(302, { location: `/bytes/${url.pathname.split('/')[3]}` });
      response.end();
      return;
    }
    if (url.pathname.startsWith('/bytes/')) {
      response.end('the bytes');
      return;
    }
    const found = read(url.pathname, url.searchParams);
    return found === undefined ? send(404, { error: notFound }) : send(200, found);
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((thrown: unknown) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(String(thrown));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    key,
    received,
    requests,
    bytesRead: () => bytesRead,
    answerOnce: (path, status, headers = {}, body = '') => canned.push({ path, status, headers, body }),
    loseAnswerOnce: (path) => void lost.push(path),
    forget() {
      received.length = 0;
      named.clear();
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
