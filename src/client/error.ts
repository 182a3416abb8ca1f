import { z } from 'zod';
import { errorFacts } from '#answers';
import type { ErrorCode, ErrorFacts } from '#errors';

/** Codes that arise on this side of the wire, beside those of the API's own table. */
type ClientErrorCode =
  | 'UNREACHABLE'
  | 'UNEXPECTED_ANSWER'
  | 'FILE_UNREADABLE'
  | 'FILE_CHANGED'
  | 'NOT_UPLOADABLE'
  | 'JOURNAL_UNUSABLE';

/** What an error carries beside its sentence. */
interface ReelayErrorFacts extends Omit<ErrorFacts, 'code'> {
  /** One of the tables; an API newer than this client may send another. */
  readonly code: ErrorCode | ClientErrorCode | (string & {});
  /** HTTP status, when an answer came. */
  readonly status?: number | undefined;
  readonly correlationId?: string | undefined;
  /** How long the API asks to wait before the call is sent again. */
  readonly retryAfterSeconds?: number | undefined;
}

/** The only error the client throws, but for an aborted signal, which rejects with its reason. */
export class ReelayError extends Error implements ReelayErrorFacts {
  override readonly name = 'ReelayError';
  readonly code: ReelayErrorFacts['code'];
  readonly retryable: boolean;
  /** What to do about it, in one sentence for a person. */
  readonly nextAction: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly status: number | undefined;
  readonly correlationId: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(facts: ReelayErrorFacts, options?: ErrorOptions) {
    super(facts.message, options);
    this.code = facts.code;
    this.retryable = facts.retryable;
    this.nextAction = facts.nextAction;
    this.details = facts.details;
    this.status = facts.status;
    this.correlationId = facts.correlationId;
    this.retryAfterSeconds = facts.retryAfterSeconds;
  }
}

/** An error as data, in the form of the API. */
export type PlainFacts = Omit<ErrorFacts, 'code'> & {
  readonly code: string;
  readonly correlationId?: string | undefined;
};

export function factsOf({ code, message, retryable, nextAction, details, correlationId }: ReelayError): PlainFacts {
  return { code, message, retryable, nextAction, details, correlationId };
}

/** Read with patience: what stands in front of the API may have answered in its place. */
const errorAnswer = z.object({
  error: errorFacts.extend({ details: errorFacts.shape.details.default({}), correlationId: z.string().optional() }),
});

/** The error an answer outside 2xx stands for. Reads its body. */
export async function errorOfResponse(response: Response): Promise<ReelayError> {
  const text = await response.text().catch(() => '');
  const parsed = errorAnswer.safeParse(parseJson(text));
  const retryAfterSeconds = secondsOf(response.headers.get('retry-after'));
  if (parsed.success) return new ReelayError({ ...parsed.data.error, status: response.status, retryAfterSeconds });
  return unexpectedAnswer(response, text, { retryAfterSeconds });
}

/** An answer that is not of the API's form: a proxy, another service, or another version. */
export function unexpectedAnswer(
  response: Response,
  body: string,
  extra: { retryAfterSeconds?: number | undefined; cause?: unknown } = {},
): ReelayError {
  return new ReelayError(
    {
      code: 'UNEXPECTED_ANSWER',
      message: `${new URL(response.url).origin} answered ${response.status} in a form that is not Reelay's.`,
      retryable: response.status >= 500 || response.status === 429,
      nextAction: 'Check that the API URL is that of a Reelay API of this version, and what stands in front of it.',
      details: { url: response.url, body: body.slice(0, 200) },
      status: response.status,
      retryAfterSeconds: extra.retryAfterSeconds,
    },
    { cause: extra.cause },
  );
}

/** No answer came from `url`: refused, not resolved, reset or too late. */
export function unreachable(url: string, cause: unknown): ReelayError {
  const { origin } = new URL(url);
  return new ReelayError(
    {
      code: 'UNREACHABLE',
      message: `${origin} cannot be reached (${wordsOf(reasonOf(cause))}).`,
      retryable: true,
      nextAction: `Check that the API runs at ${origin} (npm run up starts one) and that the URL is right.`,
      details: { url },
    },
    { cause },
  );
}

/** What refused bytes that were put to `url`, as the API said: the API itself, or a store in its own words. */
export async function refusalOf(response: Response, url: string): Promise<ReelayError> {
  const text = await response.text().catch(() => '');
  const parsed = errorAnswer.safeParse(parseJson(text));
  if (parsed.success) return new ReelayError({ ...parsed.data.error, status: response.status });
  const away = response.status >= 500 || response.status === 429 || response.status === 408;
  const { origin } = new URL(url);
  const said = /<Code>([^<]*)<\/Code>/.exec(text)?.[1];
  return new ReelayError({
    code: away ? 'STORE_UNAVAILABLE' : 'STORE_REJECTED',
    message: `${origin} answered ${response.status}${said === undefined ? '' : ` (${said})`} to a part of the file.`,
    retryable: away,
    nextAction: away ? 'Upload it again later.' : 'Read what the store said; check what stands in front of it.',
    details: { status: response.status, said: text.slice(0, 300) },
    retryAfterSeconds: secondsOf(response.headers.get('retry-after')),
  });
}

/** No answer came from where the API has bytes put. */
export function storeAway(url: string, cause: unknown): ReelayError {
  const { origin } = new URL(url);
  return new ReelayError(
    {
      code: 'STORE_UNAVAILABLE',
      message: `${origin} cannot be reached (${wordsOf(reasonOf(cause))}); large files are put there directly.`,
      retryable: true,
      nextAction: `Check that this machine can reach ${origin}, then upload again.`,
      details: { origin },
    },
    { cause },
  );
}

/** Staged bytes that can no longer be uploaded. */
export function stagingGone(stagingId: string, state: 'aborted' | 'expired'): ReelayError {
  return new ReelayError({
    code: 'GONE',
    message: `What was staged as ${stagingId} is ${state}.`,
    retryable: false,
    nextAction: 'Upload the file again.',
    details: { stagingId },
  });
}

/** A file of this machine that was to be sent. */
export function fileUnreadable(path: string, cause: unknown): ReelayError {
  return new ReelayError(
    {
      code: 'FILE_UNREADABLE',
      message: `${path} cannot be read (${wordsOf(cause)}).`,
      retryable: false,
      nextAction: 'Check the path and the rights to read it, then upload again.',
      details: { path },
    },
    { cause },
  );
}

/** Why an API that was asked will not take anything else now either; undefined when it refused this one call. */
export function closedBy({ status, code }: ReelayError): 'unauthorised' | 'unavailable' | undefined {
  if (status === 401 || status === 403) return 'unauthorised';
  if (code === 'UNREACHABLE' || code === 'UNEXPECTED_ANSWER') return 'unavailable';
  return status === 503 || status === 429 ? 'unavailable' : undefined;
}

/** An error or any other thrown value in a few words: a system's code, else the message. */
export function wordsOf(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  return 'code' in reason && typeof reason.code === 'string' ? reason.code : reason.message;
}

/** What a failed fetch has as its cause. */
function reasonOf(thrown: unknown): unknown {
  return thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
}

/** Retry-After in seconds; a proxy may give it as a date. */
function secondsOf(header: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = /^\d+$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - Date.now()) / 1_000);
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
