import pLimit from 'p-limit';
import type { Staging } from '#answers';
import { streamOf } from './body.ts';
import { fileChanged, type PartedContent } from './content.ts';
import type { ReelayError } from './error.ts';
import type { CallOptions } from './retry.ts';
import type { Transport } from './transport.ts';

/** Parts of one file at a time: enough to fill a line, and little lost when it breaks. */
const PARTS_AT_ONCE = 4;

/** A file on its way into staging. */
interface PartsToSend {
  readonly transport: Transport;
  readonly filename: string;
  readonly content: PartedContent;
  readonly options: CallOptions;
  /** The staging as it is now, its URLs fresh. Throws `GONE` when it has ended. */
  readonly look: (options: CallOptions) => Promise<Staging>;
  readonly onProgress: ((bytes: number) => void) | undefined;
}

type MissingPart = NonNullable<Staging['missing']>[number];

/**
 * Sends the parts that `first` calls missing, a few at a time; each again after a failure that may pass, and with a
 * fresh URL. Throws `FILE_CHANGED`, `FILE_UNREADABLE`, `GONE`, `STORE_UNAVAILABLE` or what refused a part.
 */
export async function sendParts(sending: PartsToSend, first: Staging): Promise<void> {
  let bytes = bytesThere(first);
  const count = (more: number) => {
    bytes += more;
    sending.onProgress?.(bytes);
  };
  count(0);
  const { transport, options } = sending;
  const views = createViews(sending, first);
  for (let view = first, sent = 0; ; ) {
    const { missing = [], partSize = 0 } = view;
    const round = missing.filter(({ number }) => number > sent);
    const last = round.at(-1);
    if (!last) return;
    await sendRound(round, sending, { views, partSize, count });
    sent = last.number;
    // An answer names a thousand parts at the most, in order.
    view = await transport.retry(() => views.renew(views.latest(), options), options);
  }
}

/** Bytes of the parts that have arrived. */
export function bytesThere({ parts = [] }: Staging): number {
  return parts.reduce((sum, { size }) => sum + size, 0);
}

interface Round {
  readonly views: Views;
  readonly partSize: number;
  readonly count: (bytes: number) => void;
}

/** Ends when all parts have ended; the first that fails stops the others, and is what is thrown. */
async function sendRound(parts: readonly MissingPart[], sending: PartsToSend, round: Round): Promise<void> {
  const limit = pLimit(PARTS_AT_ONCE);
  const failed = new AbortController();
  const given = sending.options.signal;
  const signal = given ? AbortSignal.any([given, failed.signal]) : failed.signal;
  const options = { ...sending.options, signal };
  await Promise.all(
    parts.map((part) =>
      limit(() => sendPart(part, { ...sending, options }, round)).catch((thrown: unknown) => failed.abort(thrown)),
    ),
  );
  signal.throwIfAborted();
}

async function sendPart({ number, size }: MissingPart, sending: PartsToSend, round: Round): Promise<void> {
  const { transport, options } = sending;
  const { views, count } = round;
  options.signal?.throwIfAborted();

  /** Gives what refused the part; a part that a view no longer misses has arrived. */
  async function put(view: Staging): Promise<ReelayError | undefined> {
    const to = view.missing?.find((part) => part.number === number);
    let sent = 0;
    const onBytes = (more: number) => {
      sent += more;
      count(more);
    };
    if (!to) return void onBytes(size);
    const over = new AbortController();
    const body = streamOf(readPart(sending, { start: (number - 1) * round.partSize, size }, over.signal, onBytes));
    try {
      const refusal = await transport.put(to, { body, length: size }, options.signal);
      if (refusal) count(-sent);
      return refusal;
    } catch (thrown) {
      count(-sent);
      throw thrown;
    } finally {
      over.abort();
    }
  }

  let used: Staging | undefined;
  await transport.retry(async () => {
    used = used ? await views.renew(used, options) : views.latest();
    let refusal = await put(used);
    if (refusal && !refusal.retryable) {
      // A URL that has expired is refused like any other: only a fresh one tells.
      used = await views.renew(used, options);
      refusal = await put(used);
    }
    if (refusal) throw refusal;
  }, options);
}

/** The bytes of a part, counted; stops when the try is over. Throws `FILE_CHANGED` when there are fewer. */
async function* readPart(
  { content, filename }: PartsToSend,
  { start, size }: { start: number; size: number },
  over: AbortSignal,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let left = size;
  for await (const chunk of content.part(start, start + size)) {
    if (over.aborted) return;
    left -= chunk.length;
    if (left < 0) break;
    yield chunk;
    onBytes(chunk.length);
  }
  if (left !== 0) throw fileChanged(filename, content.size);
}

interface Views {
  latest(): Staging;
  /** A view later than `used`, asked for once by all parts that want one. */
  renew(used: Staging, options: CallOptions): Promise<Staging>;
}

function createViews({ look }: PartsToSend, first: Staging): Views {
  let latest = first;
  let asking: Promise<Staging> | undefined;
  return {
    latest: () => latest,
    async renew(used, options) {
      if (latest !== used) return latest;
      asking ??= look(options).finally(() => {
        asking = undefined;
      });
      latest = await asking;
      return latest;
    },
  };
}
