import type { IncomingMessage } from 'node:http';
import type { LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import { AppError } from '#errors';
import type { Source } from './store.ts';
import { type Body, judgeAnswer, sizeMismatch, type Version } from './url-answer.ts';
import { createPatience, WAITS, type Waits } from './url-patience.ts';
import type { UrlPolicy } from './url-policy.ts';
import { type Answer, requestUrl, unreadable, type Way } from './url-request.ts';

export interface UrlSourceOptions {
  /** Bytes of the file, as announced. */
  readonly size?: number | undefined;
  /** Resolves host names. Default: the system's resolver. */
  readonly lookup?: LookupFunction;
  readonly waits?: Partial<Waits>;
  /** Milliseconds, never going back. */
  readonly clock?: () => number;
}

/** So often a read that breaks off is gone on with; then it is an error, and the job's next try reads anew. */
const MAX_RESUMES = 5;

/**
 * A file behind an http or https URL, fetched anew at each `open`. Besides what `policy` refuses it throws
 * `ORIGIN_NOT_FOUND` when the server says so; `SIZE_MISMATCH` and `TOO_LARGE` at the headers where they tell, else while
 * reading; `ORIGIN_UNREADABLE` when the server fails, is silent, or drips. The bytes are as sent: nothing is unpacked.
 * Bytes of two versions of a file are never mixed: what goes on after an earlier read must prove to be of the same.
 */
export function urlSource(url: string, policy: UrlPolicy, options: UrlSourceOptions = {}): Source {
  const { size, lookup, clock = () => performance.now() } = options;
  const waits = { ...WAITS, ...options.waits };
  let first: Version | undefined;

  async function fetchFrom(offset: number, way: Way): Promise<{ answer: Answer; body: Body }> {
    if (offset > 0 && first && first.guard === undefined) {
      throw new AppError(
        'ORIGIN_UNREADABLE',
        'The URL broke off, and does not tell whether its file is still the same.',
      );
    }
    const headers = offset > 0 ? { range: `bytes=${offset}-`, ...(first ? { 'if-range': first.guard } : {}) } : {};
    const answer = await requestUrl(url, headers, way);
    try {
      const body = judgeAnswer(answer, { offset, size, version: offset > 0 ? first : undefined }, policy);
      if (offset === 0 || first === undefined) first = body.version;
      return { answer, body };
    } catch (error) {
      answer.message.destroy();
      throw error;
    }
  }

  return {
    size,
    fromStartOnly: () =>
      first === undefined || (first.ranges && first.guard !== undefined) ? undefined : { size: size ?? first.size },
    async open(offset, signal) {
      const left = new AbortController();
      const way: Way = {
        ...{ policy, lookup, answerWithin: waits.answer },
        patience: createPatience(policy.limits, waits.window, clock),
        signal: signal ? AbortSignal.any([signal, left.signal]) : left.signal,
      };
      const opened = await fetchFrom(offset, way);
      return readable(bytesOf(opened, offset, way), left);
    },
  };

  async function* bytesOf({ answer, body }: { answer: Answer; body: Body }, offset: number, way: Way) {
    let at = offset;
    for (let resumes = 0; ; resumes += 1) {
      const from = at;
      try {
        for await (const chunk of received(answer.message, body.before, way)) {
          at += chunk.length;
          policy.assertFits(at);
          if (size !== undefined && at > size) throw sizeMismatch(size, at);
          yield chunk;
        }
        if (size !== undefined && at < size && body.hasEnd) throw sizeMismatch(size, at);
        return;
      } catch (error) {
        way.signal.throwIfAborted();
        const canResume =
          !(error instanceof AppError) && at > from && resumes < MAX_RESUMES && first?.guard !== undefined;
        if (!canResume) throw unreadable(error, answer.url);
      }
      ({ answer, body } = await fetchFrom(at, way));
    }
  }

  /** The chunks of an answer but for its first `before` bytes, each waited for with patience. */
  async function* received(message: IncomingMessage, before: number, { patience }: Way) {
    const iterator = message[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    let skip = before;
    try {
      for (;;) {
        const next = await patience.during(iterator.next(), waits.idle, (why) => message.destroy(why));
        if (next.done) return;
        patience.count(next.value.length);
        if (next.value.length > skip) yield next.value.subarray(skip);
        skip = Math.max(0, skip - next.value.length);
      }
    } finally {
      message.destroy();
    }
  }
}

/** A stream that, once destroyed, leaves its origin at once; one made by `Readable.from` would wait for the next chunk. */
function readable(chunks: AsyncGenerator<Buffer, void, void>, left: AbortController): Readable {
  return new Readable({
    read() {
      chunks.next().then(
        ({ done, value }) => this.push(done ? null : value),
        (error: Error) => this.destroy(error),
      );
    },
    destroy(error, callback) {
      left.abort();
      callback(error);
    },
  });
}
