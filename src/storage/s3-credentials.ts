import { fromNodeProviderChain, fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import type { S3Config } from '#config';
import { AppError } from '#errors';

/** Gives credentials; with `forceRefresh` never ones it gave before without asking again. */
export type CredentialsProvider = ReturnType<typeof fromNodeProviderChain>;

/** Name of the sessions of an assumed role, as the logs of AWS show it. */
const SESSION = 'reelay';

/**
 * The store's credentials, from wherever the AWS SDK finds any (environment, profile, web identity, container, instance),
 * or of the role that those assume. Files are read anew at each refresh, unlike the SDK's default. While a refresh fails,
 * credentials that are still valid go on; after that, and while there are none yet, it is `STORE_CREDENTIALS_EXPIRED`: a
 * container's or an instance's source may be up later than the process that asks it.
 */
export function storeCredentials({ role, region }: Pick<S3Config, 'role' | 'region'>): CredentialsProvider {
  const chain = fromNodeProviderChain({ ignoreCache: true });
  const provider: CredentialsProvider = role
    ? fromTemporaryCredentials({
        masterCredentials: chain,
        params: {
          RoleArn: role.arn,
          RoleSessionName: SESSION,
          ...(role.externalId && { ExternalId: role.externalId }),
        },
        clientConfig: { region },
      })
    : chain;
  let last: Awaited<ReturnType<CredentialsProvider>> | undefined;
  return async (properties) => {
    try {
      last = await provider(properties);
      return last;
    } catch (cause) {
      if (last === undefined) throw isNoneFound(cause) ? noCredentials(cause) : cause;
      const isValid = last.expiration !== undefined && last.expiration.getTime() > Date.now();
      if (isValid && !properties?.forceRefresh) return last;
      throw credentialsExpired(cause);
    }
  };
}

/** What the word of store or SDK becomes that the credentials are past their time. */
export function credentialsExpired(cause: unknown): AppError {
  const said = cause instanceof Error ? cause.message : String(cause);
  return new AppError('STORE_CREDENTIALS_EXPIRED', `The credentials for the store have expired: ${said}`, { cause });
}

/** True for the SDK's word that no source gave any; what STS said of a role is judged like the store's own answers. */
function isNoneFound(cause: unknown): boolean {
  return cause instanceof Error && cause.name === 'CredentialsProviderError';
}

function noCredentials(cause: unknown): AppError {
  const said = cause instanceof Error ? cause.message : String(cause);
  return new AppError('STORE_CREDENTIALS_EXPIRED', `No credentials for the store were found: ${said}`, {
    cause,
    nextAction:
      'Give credentials where the AWS SDK finds them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, a web identity, a container or an instance. Work waits until there are some.',
  });
}
