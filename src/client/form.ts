import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { fileUnreadable, ReelayError } from './error.ts';

/** Where the bytes of an upload come from. */
export type FileContent =
  | { readonly path: string }
  | { readonly bytes: Uint8Array }
  /** Without `size` the body travels in chunks of unannounced length. */
  | { readonly stream: AsyncIterable<Uint8Array>; readonly size?: number | undefined };

/** A file with its size, when known before it is read. */
interface OpenedFile {
  readonly size: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Opens the content; a path is looked at now and read when the body is. Throws `FILE_UNREADABLE`. */
export async function openContent(content: FileContent): Promise<OpenedFile> {
  if ('bytes' in content) return { size: content.bytes.length, chunks: one(content.bytes) };
  if ('stream' in content) return { size: content.size, chunks: content.stream };
  const { path } = content;
  const facts = await stat(path).catch((cause: unknown) => {
    throw fileUnreadable(path, cause);
  });
  if (!facts.isFile()) throw fileUnreadable(path, new Error('it is not a file'));
  return { size: facts.size, chunks: readFile(path) };
}

interface FormOptions {
  readonly fields: Readonly<Record<string, string>>;
  readonly file: OpenedFile;
  readonly filename: string;
  readonly contentType: string;
  /** Bytes of the file handed to the connection so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** Aborted when the call is over: Node's fetch would go on reading the body of a call that failed, to its end. */
  readonly until: AbortSignal;
}

interface Form {
  readonly contentType: string;
  /** Bytes of the whole body, when the file's are known. */
  readonly length: number | undefined;
  /** Read as fast as the connection takes it; never more than a chunk is held. */
  readonly body: ReadableStream<Uint8Array>;
}

/**
 * A multipart/form-data body with fields first and one file last, as RFC 7578 says and browsers write
 * it. `FormData` would want the file as a Blob and hides the length; this one streams anything. The
 * body fails with `FILE_CHANGED` when the file has more or fewer bytes than announced.
 */
export function form(options: FormOptions): Form {
  const boundary = `reelay-${randomUUID()}`;
  const parts = Object.entries(options.fields).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"\r\n\r\n${value}\r\n`,
  );
  parts.push(
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${quoted(options.filename)}"\r\n` +
      `Content-Type: ${options.contentType}\r\n\r\n`,
  );
  const head = new TextEncoder().encode(parts.join(''));
  const tail = new TextEncoder().encode(`\r\n--${boundary}--\r\n`);
  const { size } = options.file;

  async function* write(): AsyncGenerator<Uint8Array> {
    yield head;
    let sent = 0;
    for await (const chunk of options.file.chunks) {
      if (options.until.aborted) return;
      sent += chunk.length;
      if (size !== undefined && sent > size) throw changed(options.filename, size);
      yield chunk;
      options.onProgress?.(sent);
    }
    if (size !== undefined && sent < size) throw changed(options.filename, size);
    yield tail;
  }

  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    length: size === undefined ? undefined : head.length + size + tail.length,
    body: streamOf(write()),
  };
}

/** `ReadableStream.from`, which the types of the browser do not have. Asks for a chunk only when one is wanted. */
function streamOf(chunks: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await chunks.next();
        if (next.done) controller.close();
        else controller.enqueue(next.value);
      },
      async cancel() {
        await chunks.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: 256 * 1024 });
  } catch (cause) {
    throw fileUnreadable(path, cause);
  }
}

/** As the URL standard's form encoding escapes names: a quote or line break cannot end the header. */
function quoted(name: string): string {
  return name.replaceAll('\r', '%0D').replaceAll('\n', '%0A').replaceAll('"', '%22');
}

function changed(filename: string, size: number): ReelayError {
  return new ReelayError({
    code: 'FILE_CHANGED',
    message: `${filename} no longer has the ${size} bytes it had when its upload began.`,
    retryable: false,
    nextAction: 'Upload it again once nothing writes to it.',
    details: { filename, size },
  });
}
