import { ReelayError } from './error.ts';

/** Where the bytes of an upload come from, in a browser and in Node alike. */
export type FileContent =
  | { readonly bytes: Uint8Array<ArrayBuffer> }
  /** A `File` of an input, for example; it is read as it is sent. */
  | { readonly blob: Blob }
  /**
   * Opened anew for each try. Without `size` the body travels in chunks of unannounced length. Streams want Node,
   * or a browser that sends streams.
   */
  | { readonly open: () => AsyncIterable<Uint8Array>; readonly size?: number | undefined }
  | PartedContent
  /** Can be read once, so that a failure after its first byte is not tried again. */
  | { readonly stream: AsyncIterable<Uint8Array>; readonly size?: number | undefined };

/** Content that can be read anywhere: large, it travels in parts. Each read is of the same bytes, or throws. */
export interface PartedContent {
  readonly open: () => AsyncIterable<Uint8Array>;
  readonly size: number;
  /** Bytes from `start` up to, not including, `end`. */
  readonly part: (start: number, end: number) => AsyncIterable<Uint8Array>;
}

/** A file with its size, when known before it is read. */
export type OpenedFile =
  | { readonly blob: Blob; readonly size: number; readonly again: () => boolean }
  | {
      readonly open: () => AsyncIterable<Uint8Array>;
      readonly size: number | undefined;
      readonly parted?: PartedContent;
      /** Whether it can be read from its start. */
      readonly again: () => boolean;
    };

export function openContent(content: FileContent): OpenedFile {
  const again = () => true;
  if ('bytes' in content) return { blob: new Blob([content.bytes]), size: content.bytes.length, again };
  if ('blob' in content) return { blob: content.blob, size: content.blob.size, again };
  if ('part' in content) return { open: content.open, size: content.size, parted: content, again };
  if ('open' in content) return { open: content.open, size: content.size, again };
  const { stream } = content;
  if (!stream) throw new TypeError('An upload wants bytes, blob, open or stream; a path wants the client of node.ts.');
  let touched = false;
  async function* once() {
    touched = true;
    yield* stream;
  }
  return { open: once, size: content.size, again: () => !touched };
}

/** A file that was written to while it was sent, or since a part of it was. */
export function fileChanged(filename: string, size: number): ReelayError {
  return new ReelayError({
    code: 'FILE_CHANGED',
    message: `${filename} no longer has the ${size} bytes it had when its upload began.`,
    retryable: false,
    nextAction: 'Upload it again once nothing writes to it.',
    details: { filename, size },
  });
}
