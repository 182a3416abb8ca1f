import { apiKeyRecord } from '#api/api-key.ts';
import type { Config } from '#config';
import { createConvexMetadata } from '#metadata/convex.ts';
import { type SigningKey, serviceTokens } from '#metadata/service-token.ts';
import { type Credentials, credentialsFile, KEYS, VIEWER } from './credentials.ts';
import { StartError } from './start-error.ts';

/**
 * Makes Convex know the keys of `credentials.json` and the viewer of project `demo`. Done at each start, since
 * its data may be gone; what is there already, a revoked key too, stays as it is. Throws `StartError`.
 */
export async function seed(
  config: Pick<Config, 'convexUrl' | 'dataDir'>,
  signingKey: SigningKey,
  credentials: Credentials,
  now: number,
): Promise<void> {
  const metadata = createConvexMetadata({ url: config.convexUrl, token: serviceTokens(signingKey) });

  const seedKey = async (name: keyof typeof KEYS) => {
    const record = apiKeyRecord(credentials[name], { ...KEYS[name], createdAt: now });
    if (!record) throw new StartError(notAKey(name, config.dataDir));
    if (!(await metadata.findApiKey(record.keyId))) await metadata.putApiKey(record);
  };
  const seedViewer = async () => {
    const { project, subject } = VIEWER;
    if (!(await metadata.findMember(project, subject))) await metadata.putMember(project, subject, 'viewer');
  };
  await Promise.all([seedKey('agentKey'), seedKey('adminKey'), seedViewer()]).catch((cause: Error) => {
    throw cause instanceof StartError ? cause : new StartError(refused(config.convexUrl, cause), { cause });
  });
}

function refused(url: string, { message }: Error): string {
  return `Convex at ${url} did not take the keys: ${message} A deployment of your own gets its functions by scripts/deploy.sh.`;
}

function notAKey(name: string, dataDir: string): string {
  return `${name} in ${credentialsFile(dataDir)} is not a key of Reelay. Delete it there to have a new one.`;
}
