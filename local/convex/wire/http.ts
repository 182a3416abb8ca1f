import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { JSONValue } from 'convex/values';
import { z } from 'zod';
import { AuthFailure, type Identity, NOBODY } from '#local/convex/auth/auth.ts';
import type { Answered, CallRequest, Engine } from '#local/convex/engine.ts';
import { environmentChanges } from '#local/convex/functions/environment.ts';
import type { FunctionKind } from '#local/convex/functions/functions.ts';
import { decodeTimestamp, encodeTimestamp } from '#local/convex/storage/timestamp.ts';
import { parseJson } from '#local/convex/values/parse-json.ts';

/** Arguments of 16 MiB, and room for their wrapping. */
const LONGEST_BODY = 17 * 1024 * 1024;
/** What Convex answers when the function itself failed. */
const FUNCTION_FAILED = 560;

const CORS = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, POST, OPTIONS',
  'access-control-allow-headers': 'authorization, content-type, convex-client',
  'access-control-max-age': '86400',
};

const KINDS: Readonly<Record<string, FunctionKind | undefined>> = {
  '/api/query': 'query',
  '/api/query_at_ts': 'query',
  '/api/mutation': 'mutation',
  '/api/action': 'action',
  '/api/function': undefined,
};

/** A mistake in a request, answered with `status`. */
class BadRequest extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Convex's HTTP API over an engine. `version` is the engine's own. */
export function apiListener(engine: Engine, version: string): RequestListener {
  return (request, response) => {
    answer(engine, version, request, response).catch((error: unknown) => {
      const { status, code, message } = refusal(error);
      send(response, status, JSON.stringify({ code, message }));
    });
  };
}

async function answer(engine: Engine, version: string, request: IncomingMessage, response: ServerResponse) {
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  if (request.method === 'OPTIONS') return send(response, 204, '');
  if (request.method === 'GET' && path === '/') {
    return send(
      response,
      200,
      'This is an embedded Convex deployment. Point a Convex client at this address.\n',
      'text/plain',
    );
  }
  if (path === '/version') return send(response, 200, version, 'text/plain');
  if (path === '/api/query_ts') {
    return send(response, 200, JSON.stringify({ ts: encodeTimestamp(await engine.queryTimestamp()) }));
  }
  if (request.method === 'POST' && path === '/api/update_environment_variables') {
    await setEnvironment(engine, request);
    return send(response, 200, '');
  }
  const call = request.method === 'POST' ? target(path) : undefined;
  if (!call) throw new BadRequest(404, 'NotFound', `There is nothing at ${request.method} ${path}.`);
  const identity = await identify(engine, request.headers.authorization);
  const body = await readJson(request);
  const name = call.path ?? body.path;
  if (typeof name !== 'string') throw new BadRequest(400, 'BadRequest', 'The body has no `path` of a function.');
  const args = argumentsOf(body.args);
  const answered = await engine.call({ path: name, args, identity, kind: call.kind, at: timestampIn(path, body) });
  send(response, answered.ok ? 200 : FUNCTION_FAILED, answerText(answered));
}

async function setEnvironment(engine: Engine, request: IncomingMessage): Promise<void> {
  const identity = await identify(engine, request.headers.authorization);
  if (identity.kind !== 'admin') throw new BadRequest(403, 'Unauthorized', 'Only the admin key may do this.');
  const body = environmentChanges.safeParse(await readJson(request));
  if (!body.success) throw new BadRequest(400, 'BadRequest', z.prettifyError(body.error));
  await engine.setEnvironment(body.data.changes).catch((error: Error) => {
    throw new BadRequest(400, 'EnvironmentVariableRefused', error.message);
  });
}

/** What `query_at_ts` asks for besides. */
function timestampIn(path: string, { ts }: { [field: string]: JSONValue }): bigint | undefined {
  if (path !== '/api/query_at_ts') return undefined;
  const timestamp = typeof ts === 'string' ? decodeTimestamp(ts) : undefined;
  if (timestamp === undefined) throw new BadRequest(400, 'BadRequest', '`ts` must be what /api/query_ts answers.');
  return timestamp;
}

/** Which function a path means: `/api/run/dir/file/fn` names it, the others leave it to the body. */
function target(path: string): (Pick<CallRequest, 'kind'> & { path?: string }) | undefined {
  if (Object.hasOwn(KINDS, path)) return { kind: KINDS[path] };
  const named = /^\/api\/run\/(.+)\/([^/]+)$/.exec(path);
  if (!named) return undefined;
  try {
    return { kind: undefined, path: `${decodeURIComponent(named[1] ?? '')}:${decodeURIComponent(named[2] ?? '')}` };
  } catch {
    throw new BadRequest(400, 'BadRequest', `The address ${path} is not encoded as addresses are.`);
  }
}

/** The one argument of a function: an object, bare or alone in a list. */
function argumentsOf(args: JSONValue | undefined): JSONValue {
  const [sole = {}, ...others] = Array.isArray(args) ? args : args === undefined ? [] : [args];
  if (others.length === 0 && typeof sole === 'object' && sole !== null && !Array.isArray(sole)) return sole;
  throw new BadRequest(400, 'BadRequest', '`args` must be an object, or a list of one object.');
}

function answerText(answered: Answered): string {
  const logLines = JSON.stringify(answered.logLines);
  if (answered.ok) return `{"status":"success","value":${answered.value},"logLines":${logLines}}`;
  const data = answered.data === undefined ? '' : `"errorData":${answered.data},`;
  return `{"status":"error","errorMessage":${JSON.stringify(answered.message)},${data}"logLines":${logLines}}`;
}

async function identify(engine: Engine, header: string | undefined): Promise<Identity> {
  if (header === undefined) return NOBODY;
  const [scheme, credentials = ''] = header.split(/ (.*)/s);
  if (scheme === 'Bearer') return engine.authenticator.user(credentials);
  if (scheme === 'Convex') return engine.authenticator.admin(credentials);
  throw new AuthFailure('InvalidAuthHeader', 'The Authorization header must be `Bearer <token>` or `Convex <key>`.');
}

async function readJson(request: IncomingMessage): Promise<{ [field: string]: JSONValue }> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Left halfway the request would be cut off, and its client never hear why.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LONGEST_BODY) {
      request.resume();
      throw new BadRequest(413, 'TooLarge', `A body may have ${LONGEST_BODY} bytes.`);
    }
    chunks.push(chunk);
  }
  const body = parseBody(Buffer.concat(chunks));
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body;
  throw new BadRequest(400, 'BadJson', 'The body must be a JSON object.');
}

function parseBody(bytes: Buffer): JSONValue {
  try {
    return parseJson(bytes);
  } catch (error) {
    throw new BadRequest(400, 'BadJson', `The body cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

function refusal(error: unknown): { status: number; code: string; message: string } {
  if (error instanceof BadRequest) return error;
  if (error instanceof AuthFailure) return { status: 401, code: error.code, message: error.message };
  return { status: 500, code: 'InternalServerError', message: error instanceof Error ? error.message : String(error) };
}

function send(response: ServerResponse, status: number, body: string, type = 'application/json'): void {
  response.writeHead(status, { ...CORS, 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
