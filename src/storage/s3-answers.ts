import type { S3Client } from '@aws-sdk/client-s3';
import { AppError } from '#errors';

/** What of an HTTP answer tells who gave it. */
export interface RawAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Types that no S3 says anything in: its words are XML. */
const PAGE = /^\s*(text\/(html|plain)|application\/(\S+\+)?json)\b/i;
/** Their answers carry an object, of whatever type. */
const OF_OBJECTS: ReadonlySet<string> = new Set(['GetObjectCommand', 'HeadObjectCommand']);
/** Says what is wrong with this one request, whoever says it. */
const TOO_LARGE = 413;

/**
 * Has what a proxy says in the store's place decide nothing: `STORE_UNAVAILABLE`. Its "404 page not found" must not pass
 * for an object that is gone, nor the page with which it announces maintenance for a bucket without objects.
 */
export function refusePages(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const result = await next(args);
        const answer = result.response as RawAnswer & { readonly body?: { destroy?(): void } };
        if (!isPage(answer, commandName)) return result;
        answer.body?.destroy?.();
        const { statusCode: status, headers } = answer;
        const type = headerOf(answer, 'content-type') ?? 'none';
        throw new AppError(
          'STORE_UNAVAILABLE',
          `Something else answered in the store's place: status ${status}, Content-Type ${type.slice(0, 60)}.`,
          { details: { status, server: headerOf({ headers }, 'server') } },
        );
      },
    // Inside of what reads the answer.
    { step: 'deserialize', priority: 'low', name: 'refusePages' },
  );
}

/** True for an answer that is neither an object nor S3's own words. What fails on its side is left to the SDK, which repeats it. */
export function isPage(answer: RawAnswer, commandName: string | undefined): boolean {
  const { statusCode: status, headers } = answer;
  if (status >= 500 || status === TOO_LARGE) return false;
  // Imitators name a request as S3 does, or as other services of AWS do.
  if (Object.keys(headers).some((name) => name.toLowerCase().startsWith('x-amz'))) return false;
  if (!PAGE.test(headerOf(answer, 'content-type') ?? '')) return false;
  // An object may be of such a type, but never without an ETag.
  const isObject = status < 300 && OF_OBJECTS.has(commandName ?? '') && headerOf(answer, 'etag') !== undefined;
  return !isObject;
}

function headerOf({ headers }: Pick<RawAnswer, 'headers'>, name: string): string | undefined {
  return headers[name] ?? Object.entries(headers).find(([given]) => given.toLowerCase() === name)?.[1];
}
