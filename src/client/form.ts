import { streamOf } from './body.ts';
import { fileChanged, type OpenedFile } from './content.ts';
import { newKey } from './key.ts';

interface FormOptions {
  readonly fields: Readonly<Record<string, string>>;
  readonly file: OpenedFile;
  readonly filename: string;
  readonly contentType: string;
  /** Bytes of a streamed file handed to the connection so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** Aborted when the try is over: Node's fetch would go on reading the body of a call that failed, to its end. */
  readonly until: AbortSignal;
}

interface Form {
  readonly contentType: string;
  /** Bytes of the whole body, when the file's are known. */
  readonly length: number | undefined;
  /** A stream is read as fast as the connection takes it; never more than a chunk is held. */
  readonly body: Blob | ReadableStream<Uint8Array>;
}

/**
 * A multipart/form-data body with fields first and one file last, as RFC 7578 says and browsers write
 * it. `FormData` would want the file as a Blob and hides the length; this one streams anything. A streamed
 * body fails with `FILE_CHANGED` when the file has more or fewer bytes than announced.
 */
export function form({ fields, file, filename, contentType, onProgress, until }: FormOptions): Form {
  const boundary = `reelay-${newKey()}`;
  const parts = Object.entries(fields).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"\r\n\r\n${value}\r\n`,
  );
  parts.push(
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${quoted(filename)}"\r\n` +
      `Content-Type: ${contentType}\r\n\r\n`,
  );
  const head = new TextEncoder().encode(parts.join(''));
  const tail = new TextEncoder().encode(`\r\n--${boundary}--\r\n`);
  const { size } = file;

  async function* write(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    yield head;
    let sent = 0;
    for await (const chunk of chunks) {
      if (until.aborted) return;
      sent += chunk.length;
      if (size !== undefined && sent > size) throw fileChanged(filename, size);
      yield chunk;
      onProgress?.(sent);
    }
    if (size !== undefined && sent < size) throw fileChanged(filename, size);
    yield tail;
  }

  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    length: size === undefined ? undefined : head.length + size + tail.length,
    body: 'blob' in file ? new Blob([head, file.blob, tail]) : streamOf(write(file.open())),
  };
}

/** As the URL standard's form encoding escapes names: a quote or line break cannot end the header. */
function quoted(name: string): string {
  return name.replaceAll('\r', '%0D').replaceAll('\n', '%0A').replaceAll('"', '%22');
}
