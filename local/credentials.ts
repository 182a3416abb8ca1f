import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { decodeJwt } from 'jose';
import { newApiKey } from '#api/api-key.ts';
import type { Config } from '#config';
import type { ApiKey } from '#metadata/metadata.ts';
import {
  generateSigningKey,
  loadSigningKey,
  type SigningKey,
  signViewerToken,
  verifyViewerToken,
} from '#metadata/service-token.ts';
import { StartError } from './start-error.ts';

/** What a person or a script needs to use the stack: `credentials.json`, by the contract's names. */
export interface Credentials {
  readonly apiUrl: string;
  readonly convexUrl: string;
  /** Reads and writes assets everywhere. */
  readonly agentKey: string;
  readonly adminUser: string;
  readonly adminPassword: string;
  /** Has every scope. */
  readonly adminKey: string;
  /** A JWT of a viewer of project `demo`. */
  readonly viewerToken: string;
}

/** Whom `viewerToken` is for. */
export const VIEWER = { project: 'demo', subject: 'demo-viewer' } as const;

/** What the two keys may do, in every project. */
export const KEYS = {
  agentKey: { name: 'agent of the embedded stack', scopes: ['assets:read', 'assets:write'] },
  adminKey: { name: 'admin of the embedded stack', scopes: ['assets:read', 'assets:write', 'admin'] },
} as const satisfies Record<string, Pick<ApiKey, 'name' | 'scopes'>>;

const DAY_S = 24 * 60 * 60;
const VIEWER_TOKEN_S = 30 * DAY_S;
/** A viewer's token with less than this left is made anew. */
const RENEW_BELOW_S = 7 * DAY_S;

/** The signing key of the deployment; made at the first start when it is to be a file under the data folder. */
export async function prepareSigningKey(config: Pick<Config, 'signingKey' | 'dataDir'>): Promise<SigningKey> {
  if (config.signingKey.startsWith(config.dataDir + sep)) {
    await writeFile(config.signingKey, generateSigningKey(), { flag: 'wx', mode: 0o600 }).catch(unlessThere);
  }
  return loadSigningKey(config.signingKey).catch((cause: Error) => {
    throw new StartError(cause.message, { cause });
  });
}

/** Reads `credentials.json`, or makes it; secrets stay as they were, URLs and an old token follow the times. */
export async function prepareCredentials(
  config: Pick<Config, 'dataDir' | 'publicUrl' | 'convexUrl' | 'admin'>,
  key: SigningKey,
  now: number,
): Promise<Credentials> {
  const kept = await readCredentials(config.dataDir);
  const credentials: Credentials = {
    apiUrl: config.publicUrl,
    convexUrl: config.convexUrl,
    agentKey: kept.agentKey ?? newApiKey(randomBytes, { ...KEYS.agentKey, createdAt: now }).key,
    adminUser: config.admin.user,
    adminPassword: config.admin.password ?? kept.adminPassword ?? randomBytes(18).toString('base64url'),
    adminKey: kept.adminKey ?? newApiKey(randomBytes, { ...KEYS.adminKey, createdAt: now }).key,
    viewerToken: await viewerToken(key, kept.viewerToken, now),
  };
  const file = credentialsFile(config.dataDir);
  await writeFile(`${file}.new`, `${JSON.stringify(credentials, undefined, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return credentials;
}

export function credentialsFile(dataDir: string): string {
  return join(dataDir, 'credentials.json');
}

async function readCredentials(dataDir: string): Promise<Partial<Credentials>> {
  const text = await readFile(credentialsFile(dataDir), 'utf8').catch(() => '{}');
  try {
    return JSON.parse(text);
  } catch {
    throw new StartError(`${credentialsFile(dataDir)} is not JSON. Correct it, or delete it to have new credentials.`);
  }
}

async function viewerToken(key: SigningKey, kept: string | undefined, now: number): Promise<string> {
  if (kept && (await isFresh(key, kept, now))) return kept;
  return signViewerToken(key, { subject: VIEWER.subject, expiresIn: VIEWER_TOKEN_S });
}

/** A token signed with another key than today's is as good as none. */
async function isFresh(key: SigningKey, token: string, now: number): Promise<boolean> {
  if (!(await verifyViewerToken(key, token))) return false;
  return (decodeJwt(token).exp ?? 0) - now / 1000 > RENEW_BELOW_S;
}

function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
