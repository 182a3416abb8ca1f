import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { Busboy, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy';
import { AppError } from '#errors';
import { invalid } from './field-error.ts';
import { LIMITS } from './schemas.ts';

/** One file of a form. `stream` must be read to its end, or the form stands still. */
export interface FormFile {
  readonly index: number;
  readonly filename: string;
  readonly contentType: string;
  readonly stream: Readable;
}

/** A few short fields beside the files. */
const FORM_LIMITS = { files: LIMITS.files, fields: 32, fieldSize: 4_096, headerPairs: 32, headerSize: 16_384 };
/** Small files end before the store has them; the form waits when this many are on their way. */
const FILES_AT_ONCE = 8;

/**
 * Reads a `multipart/form-data` request, giving each `file` part to `take` as it streams by, and answers with
 * the text fields. The first thing that goes wrong aborts `signal`, waits for every `take` to settle, and is
 * thrown: `INVALID_FORM` for a form that is none or ends halfway, `TOO_LARGE`, or what `take` threw.
 */
export async function readForm(
  req: IncomingMessage,
  take: (file: FormFile, signal: AbortSignal) => Promise<void>,
): Promise<Record<string, string>> {
  const parser = openParser(req);
  const fields = new Map<string, string>();
  const taking = new Set<Promise<void>>();
  const stop = new AbortController();
  const { signal } = stop;
  const fail = (error: AppError) => stop.abort(error);
  let files = 0;

  parser.on('field', (name, value, _nameTruncated, truncated) => {
    if (truncated) fail(new AppError('TOO_LARGE', `The field ${name} is too long.`));
    else if (fields.has(name)) fail(invalid([{ path: name, message: 'This field is given twice.' }]));
    else fields.set(name, value);
  });
  parser.on('file', (name, stream, filename, _encoding, contentType) => {
    stream.on('error', () => {});
    if (name !== 'file') fail(invalid([{ path: name, message: 'Parts with a file are named file.' }]));
    if (signal.aborted) return;
    const taken = take({ index: files++, filename, contentType, stream }, signal)
      .catch((error: unknown) => fail(brokenOff(error)))
      .finally(() => taking.delete(taken));
    taking.add(taken);
  });
  for (const limit of ['filesLimit', 'fieldsLimit', 'partsLimit'] as const) {
    parser.on(limit, () => fail(new AppError('TOO_LARGE', 'The form has too many parts.', { details: FORM_LIMITS })));
  }
  parser.on('error', (error) => fail(brokenOff(error)));

  try {
    await feed(req, parser, taking, signal);
  } catch (error) {
    fail(brokenOff(error));
    req.resume();
  }
  await Promise.all(taking);
  parser.destroy();
  signal.throwIfAborted();
  if (files === 0) throw new AppError('INVALID_FORM', 'The form has no file part.');
  return Object.fromEntries(fields);
}

function openParser(req: IncomingMessage): BusboyInstance {
  if (!/^multipart\/form-data\b/i.test(req.headers['content-type'] ?? '')) {
    throw new AppError('UNSUPPORTED_MEDIA_TYPE', 'This route takes multipart/form-data.');
  }
  try {
    return new Busboy({ headers: req.headers as BusboyHeaders, limits: FORM_LIMITS, preservePath: true });
  } catch (cause) {
    throw new AppError('INVALID_FORM', 'The Content-Type of the form names no boundary.', { cause });
  }
}

/** Moves the request through the parser, no faster than the files are taken. */
async function feed(
  req: IncomingMessage,
  parser: BusboyInstance,
  taking: ReadonlySet<Promise<void>>,
  signal: AbortSignal,
): Promise<void> {
  const finished = once(parser, 'finish', { signal });
  finished.catch(() => {});
  for await (const chunk of req.iterator({ destroyOnReturn: false })) {
    while (taking.size > FILES_AT_ONCE) await Promise.race(taking);
    if (!parser.write(chunk)) await once(parser, 'drain', { signal });
    signal.throwIfAborted();
  }
  parser.end();
  await finished;
}

/** Our own errors stay; a source that ended, a broken connection or a parser's complaint is a form cut short. */
function brokenOff(error: unknown): AppError {
  if (error instanceof AppError && error.code !== 'ORIGIN_UNREADABLE') return error;
  const why = error instanceof Error ? error.message : String(error);
  return new AppError('INVALID_FORM', `The form ended before it was whole: ${why}.`, { cause: error });
}
