import type { z } from 'zod';
import { errorOfResponse, ReelayError, unexpectedAnswer, unreachable } from './error.ts';
import { type Pause, pauseFor } from './pause.ts';

/** A read that takes longer is given up; the next try may find another connection. */
const READ_TIMEOUT_MS = 30_000;
/** Waits between the tries of a read, in milliseconds, unless the answer names its own. */
const READ_WAITS_MS = [200, 800];
/** A longer Retry-After is left to the caller, who sees it in the error. */
const LONGEST_WAIT_SECONDS = 30;

export interface TransportOptions {
  /** Where the API answers, `http://127.0.0.1:3000` for example. */
  readonly apiUrl: string;
  /** An API key, or a person's token. */
  readonly key: string;
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** How waits between tries pass; the real clock unless a test has its own. */
  readonly pause?: Pause | undefined;
}

/**
 * Unless both are given, Node's fetch tees a streamed body, for redirects to repeat it, and so keeps all of it
 * in memory. A streamed body cannot follow a redirect anyway.
 */
const WITHOUT_COPY = { redirect: 'error', window: null } as const;

/** A call's method (GET unless named), body and signal. A stream as body needs `duplex`. */
export interface Call {
  readonly method?: 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | ReadableStream<Uint8Array>;
  readonly duplex?: 'half';
  /** A status outside 2xx whose body is an answer, too. */
  readonly alsoAnswers?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Calls to one API with one key. An answer outside 2xx is thrown as a `ReelayError`. */
export interface Transport {
  readonly pause: Pause;
  /** Sends once and parses the answer. */
  send<T extends z.ZodType>(path: string, schema: T, call?: Call): Promise<z.infer<T>>;
  /** Sends a call that changes nothing and parses the answer; again after a failure that may pass, as Retry-After says. */
  read<T extends z.ZodType>(path: string, schema: T, call?: Call): Promise<z.infer<T>>;
  /** As `read`, with the answer's body left to the caller. */
  open(path: string, call?: Call): Promise<Response>;
}

/** Calls to the API at `apiUrl` with `key`; nothing is sent before the first. */
export function createTransport(options: TransportOptions): Transport {
  const base = options.apiUrl.replace(/\/+$/, '');
  const fetch = options.fetch ?? globalThis.fetch;
  const pause = options.pause ?? pauseFor;

  async function request(path: string, call: Call): Promise<Response> {
    const url = base + path;
    const init = {
      ...(call.method && { method: call.method }),
      headers: { ...call.headers, authorization: `Bearer ${options.key}` },
      ...(call.body !== undefined && { body: call.body }),
      ...(call.duplex && { duplex: call.duplex, ...WITHOUT_COPY }),
      ...(call.signal && { signal: call.signal }),
    };
    const response = await fetch(url, init).catch((thrown: unknown) => {
      throw failureOf(thrown, url, call.signal);
    });
    if (response.ok || response.status === call.alsoAnswers) return response;
    throw await errorOfResponse(response);
  }

  async function send<T extends z.ZodType>(path: string, schema: T, call: Call = {}): Promise<z.infer<T>> {
    const response = await request(path, call);
    const text = await response.text().catch((thrown: unknown) => {
      throw failureOf(thrown, base + path, call.signal);
    });
    try {
      return schema.parse(JSON.parse(text));
    } catch (cause) {
      throw unexpectedAnswer(response, text, { cause });
    }
  }

  async function withRetries<T>(attempt: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    for (const wait of READ_WAITS_MS) {
      try {
        return await attempt();
      } catch (thrown) {
        if (!(thrown instanceof ReelayError && thrown.retryable)) throw thrown;
        const seconds = thrown.retryAfterSeconds ?? 0;
        if (seconds > LONGEST_WAIT_SECONDS) throw thrown;
        await pause(seconds * 1000 || wait, signal);
      }
    }
    return attempt();
  }

  return {
    pause,
    send,
    read(path, schema, call = {}) {
      const attempt = async () => {
        const timeout = AbortSignal.timeout(READ_TIMEOUT_MS);
        const signal = call.signal ? AbortSignal.any([call.signal, timeout]) : timeout;
        return send(path, schema, { ...call, signal }).catch((thrown: unknown) => {
          throw thrown === timeout.reason ? unreachable(base + path, thrown) : thrown;
        });
      };
      return withRetries(attempt, call.signal);
    },
    open(path, call = {}) {
      return withRetries(() => request(path, call), call.signal);
    },
  };
}

/** Why there is no answer: the caller's own abort, the body's own error, or the network. */
function failureOf(thrown: unknown, url: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  if (thrown instanceof Error && thrown.cause instanceof ReelayError) return thrown.cause;
  return unreachable(url, thrown);
}
