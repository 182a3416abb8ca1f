import type { S3Client } from '@aws-sdk/client-s3';
import { type CredentialsProvider, credentialsExpired } from './s3-credentials.ts';
import { isExpiry, saidOf } from './s3-errors.ts';

/** The region that requests are signed for. */
export interface Region {
  /** The configured one, until the store names another. */
  name(): string;
  /** True once the store answered a request, so that the name is right. */
  isConfirmed(): boolean;
  confirm(): void;
  /** Takes up the region that a refusal names; true when it is another. */
  learn(error: unknown): boolean;
}

/** Statuses by which S3 sends a request to another region: a redirect, or a signature for the wrong one. */
const ELSEWHERE = new Set([301, 307, 400]);
/** Refusals that newer credentials may mend: expired ones, and keys that were replaced. */
const REPLACED = new Set(['InvalidAccessKeyId', 'InvalidToken', 'InvalidTokenId']);

/** The bucket's region: `configured` until S3 names another or confirms it. */
export function createRegion(configured: string): Region {
  let current = configured;
  let confirmed = false;
  return {
    name: () => current,
    isConfirmed: () => confirmed,
    confirm() {
      confirmed = true;
    },
    learn(error) {
      const named = regionNamedIn(error);
      if (named === undefined || named === current) return false;
      current = named;
      return true;
    },
  };
}

/**
 * Repeats a request that the store refused for what can be mended: once in the region that the store names, which all
 * later requests take too, and once with credentials that are newer than the refused ones. When there are none,
 * `STORE_CREDENTIALS_EXPIRED`. The SDK's own `followRegionRedirects` changes the client under other requests' feet, and
 * leaves signed URLs in the wrong region.
 */
export function repeatMended(client: S3Client, region: Region): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const mended = new Set<'region' | 'credentials'>();
        for (;;) {
          const used = await client.config.credentials();
          try {
            const answer = await next(args);
            region.confirm();
            return answer;
          } catch (error) {
            const what = region.learn(error) ? 'region' : 'credentials';
            if (mended.has(what)) throw error;
            if (what === 'credentials') await renew(client, used, error, commandName);
            mended.add(what);
          }
        }
      },
    { step: 'initialize', name: 'repeatMended' },
  );
}

type Identity = Awaited<ReturnType<CredentialsProvider>>;

/** Fetches newer credentials than those the store refused. Throws the refusal when it was for another reason, or there are none. */
async function renew(client: S3Client, used: Identity, refusal: unknown, commandName: string | undefined) {
  const mute = used.sessionToken !== undefined && isMuteRefusal(refusal, commandName);
  const expired = isExpiry(refusal) || mute;
  if (!expired && !REPLACED.has(saidOf(refusal)?.name ?? '')) throw refusal;
  const newer = await client.config.credentials({ forceRefresh: true });
  const isSame = newer.accessKeyId === used.accessKeyId && newer.sessionToken === used.sessionToken;
  if (isSame) throw expired ? credentialsExpired(refusal) : refusal;
}

/** A refusal of HEAD has no words: with temporary credentials, 400 is what remains of their expiry. */
function isMuteRefusal(error: unknown, commandName: string | undefined): boolean {
  return commandName === 'HeadObjectCommand' && saidOf(error)?.status === 400;
}

/** The region that the store says the bucket is in: a header, or an element of the error's body. */
function regionNamedIn(error: unknown): string | undefined {
  if (!(error instanceof Error) || !ELSEWHERE.has(saidOf(error)?.status ?? 0)) return undefined;
  const { $response, Region: element } = error as {
    $response?: { headers?: Record<string, string> };
    Region?: unknown;
  };
  const header = $response?.headers?.['x-amz-bucket-region'];
  return header ?? (typeof element === 'string' && element !== '' ? element : undefined);
}
