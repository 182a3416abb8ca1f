import type { z } from 'zod';
import { errorOfResponse, ReelayError, refusalOf, storeAway, unexpectedAnswer, unreachable } from './error.ts';
import { type Pause, pauseFor } from './pause.ts';
import { type CallOptions, createRetry, RETRY_FOR_MS, type Retry, type RetryOptions } from './retry.ts';

/** A read that takes longer is given up; the next try may find another connection. */
const READ_TIMEOUT_MS = 30_000;

export interface TransportOptions extends RetryOptions {
  /** Where the API answers, `http://127.0.0.1:3000` for example. */
  readonly apiUrl: string;
  /** An API key, or a person's token. */
  readonly key: string;
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/**
 * Unless both are given, Node's fetch tees a streamed body, for redirects to repeat it, and so keeps all of it
 * in memory. A streamed body cannot follow a redirect anyway.
 */
const WITHOUT_COPY = { redirect: 'error', window: null } as const;

/**
 * A PUT that the API itself takes, since its store is a disk. Signed is what this matches: it is sent to where the API is
 * called, which may not be the address the API has for the world.
 */
const OWN_PUT = /\/objects\/[^?]*\?(?:.*&)?signature=.*$/;

/** A call's method (GET unless named) and body. A stream as body needs `duplex`. */
export interface Call {
  readonly method?: 'POST' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Blob | ReadableStream<Uint8Array>;
  readonly duplex?: 'half';
  /** A status outside 2xx whose body is an answer, too. */
  readonly alsoAnswers?: number;
}

/** Calls to one API with one key. An answer outside 2xx is thrown as a `ReelayError`. */
export interface Transport {
  readonly pause: Pause;
  readonly retry: Retry;
  /** How long failures of a call are borne unless it says itself. */
  readonly retryForMs: number;
  /** Sends once and parses the answer. */
  send<T extends z.ZodType>(path: string, schema: T, call?: Call, options?: CallOptions): Promise<z.infer<T>>;
  /** Sends a call that may safely come twice, and parses the answer; again after a failure that may pass. */
  read<T extends z.ZodType>(path: string, schema: T, call?: Call, options?: CallOptions): Promise<z.infer<T>>;
  /** As `read`, with the answer's body left to the caller. */
  open(path: string, call?: Call, options?: CallOptions): Promise<Response>;
  /**
   * Sends bytes once to where the API said, without our key: the URL is its own permission. Gives what refused them;
   * throws `STORE_UNAVAILABLE` when no answer came.
   */
  put(to: SignedPut, content: PutBody, signal?: AbortSignal): Promise<ReelayError | undefined>;
}

export interface SignedPut {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface PutBody {
  readonly body: ReadableStream<Uint8Array>;
  /** Bytes of it. */
  readonly length: number;
}

/** Calls to the API at `apiUrl` with `key`; nothing is sent before the first. */
export function createTransport(options: TransportOptions): Transport {
  const base = options.apiUrl.replace(/\/+$/, '');
  const fetch = options.fetch ?? globalThis.fetch;
  const retry = createRetry(options);

  async function request(path: string, call: Call, signal: AbortSignal | undefined): Promise<Response> {
    const url = base + path;
    const init = {
      ...(call.method && { method: call.method }),
      headers: { ...call.headers, authorization: `Bearer ${options.key}` },
      ...(call.body !== undefined && { body: call.body }),
      ...(call.duplex && { duplex: call.duplex, ...WITHOUT_COPY }),
      ...(signal && { signal }),
    };
    const response = await fetch(url, init).catch((thrown: unknown) => {
      throw failureOf(thrown, signal, unreachable(url, thrown));
    });
    if (response.ok || response.status === call.alsoAnswers) return response;
    throw await errorOfResponse(response);
  }

  const send: Transport['send'] = async (path, schema, call = {}, { signal } = {}) => {
    const response = await request(path, call, signal);
    const text = await response.text().catch((thrown: unknown) => {
      throw failureOf(thrown, signal, unreachable(base + path, thrown));
    });
    try {
      return schema.parse(JSON.parse(text));
    } catch (cause) {
      throw unexpectedAnswer(response, text, { cause });
    }
  };

  return {
    pause: options.pause ?? pauseFor,
    retry,
    retryForMs: options.retryForMs ?? RETRY_FOR_MS,
    send,
    read(path, schema, call, own = {}) {
      const attempt = async () => {
        const timeout = AbortSignal.timeout(READ_TIMEOUT_MS);
        const signal = own.signal ? AbortSignal.any([own.signal, timeout]) : timeout;
        return send(path, schema, call, { signal }).catch((thrown: unknown) => {
          throw thrown === timeout.reason ? unreachable(base + path, thrown) : thrown;
        });
      };
      return retry(attempt, own);
    },
    open: (path, call = {}, own = {}) => retry(() => request(path, call, own.signal), own),
    async put(to, { body, length }, signal) {
      const own = OWN_PUT.exec(to.url)?.[0];
      const url = own === undefined ? to.url : base + own;
      const headers = { ...to.headers, 'content-length': String(length) };
      const init = {
        method: 'PUT',
        headers,
        body,
        duplex: 'half' as const,
        ...WITHOUT_COPY,
        ...(signal && { signal }),
      };
      const response = await fetch(url, init).catch((thrown: unknown) => {
        throw failureOf(thrown, signal, storeAway(url, thrown));
      });
      if (!response.ok) return refusalOf(response, url);
      await response.body?.cancel();
      return undefined;
    },
  };
}

/** Why there is no answer: the caller's own abort, the body's own error, or the network, which `otherwise` tells of. */
function failureOf(thrown: unknown, signal: AbortSignal | undefined, otherwise: ReelayError): unknown {
  if (signal?.aborted) return signal.reason;
  if (thrown instanceof ReelayError) return thrown;
  return thrown instanceof Error && thrown.cause instanceof ReelayError ? thrown.cause : otherwise;
}
