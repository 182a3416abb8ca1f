import { setTimeout as pause } from 'node:timers/promises';
import { bytesOf, type CargoFile, type CargoRequest } from './cargo.ts';

/** A file that a 202 was given for. */
export interface Accepted {
  readonly file: CargoFile;
  readonly assetId: string;
  readonly jobId: string;
  readonly request: CargoRequest;
}

/** What the caller of a run saw. */
export interface Sent {
  readonly accepted: Accepted[];
  /** Answers 503, 429 and 409, and requests without an answer: each was sent again. */
  refused: number;
  unanswered: number;
  /** Requests under way. */
  open: number;
}

export interface Caller {
  /** Where the API is now; it may move when it is started again. */
  readonly url: () => string;
  readonly key: string;
}

interface Answer {
  readonly jobs: readonly { jobId: string; files: readonly { assetId: string; filename: string }[] }[];
}

/** Pause before a request is sent again, in milliseconds. */
const AGAIN = 250;
const PATIENCE = 30_000;

/** Sends one request under its Idempotency-Key until it is accepted. Throws what is refused for good. */
export async function send(caller: Caller, request: CargoRequest, sent: Sent, signal: AbortSignal): Promise<void> {
  const body = request.files[0]?.by === 'form' ? formOf(request) : jsonOf(request);
  for (;;) {
    signal.throwIfAborted();
    sent.open += 1;
    const answer = await post(caller, request.key, body, signal)
      .catch(() => undefined)
      .finally(() => {
        sent.open -= 1;
      });
    if (answer === undefined) sent.unanswered += 1;
    else if (answer.status === 202) return note(sent, request, (await answer.json()) as Answer);
    else if ([409, 429, 503].includes(answer.status)) sent.refused += 1;
    else throw new Error(`${request.key} was refused: ${answer.status} ${await answer.text()}`);
    await pause(AGAIN);
  }
}

interface Body {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | FormData;
}

function post(caller: Caller, key: string, { path, headers, body }: Body, signal: AbortSignal): Promise<Response> {
  return fetch(caller.url() + path, {
    method: 'POST',
    headers: { ...headers, authorization: `Bearer ${caller.key}`, 'idempotency-key': key },
    body,
    signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]),
  });
}

function jsonOf({ entity, files }: CargoRequest): Body {
  const asked = files.map((file) => ({
    assetType: file.assetType,
    filename: file.name,
    checksum: file.checksum,
    origin:
      file.by === 'inline'
        ? { kind: 'inline', base64: bytesOf(file).toString('base64') }
        : { kind: 'path', path: file.name },
  }));
  const headers = { 'content-type': 'application/json' };
  return { path: '/v1/uploads', headers, body: JSON.stringify({ ...entity, files: asked }) };
}

function formOf({ entity, files }: CargoRequest): Body {
  const body = new FormData();
  for (const [name, value] of Object.entries(entity)) body.append(name, value);
  body.append('assetType', files[0]?.assetType ?? '');
  for (const file of files) body.append('file', new Blob([bytesOf(file)]), file.name);
  return { path: '/v1/uploads/files', headers: {}, body };
}

function note({ accepted }: Sent, request: CargoRequest, { jobs }: Answer): void {
  const files = new Map(request.files.map((file) => [file.name, file]));
  for (const { jobId, files: answered } of jobs) {
    for (const { assetId, filename } of answered) {
      const file = files.get(filename);
      if (!file) throw new Error(`${request.key}: the answer names ${filename}, which was not sent.`);
      accepted.push({ file, assetId, jobId, request });
    }
  }
}
