import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { UsageError } from './exit.ts';

export interface Credentials {
  readonly apiUrl: string;
  readonly key: string;
}

const file = z.object({ apiUrl: z.string(), agentKey: z.string(), adminKey: z.string().optional() });

/**
 * Where the API is and the key to it: from the options, else `REELAY_API_URL` and `REELAY_KEY`, else from
 * the credentials that the embedded stack left under `REELAY_DATA`: the agent's, or for `role` `admin` the admin's. The
 * stack's key is only ever sent to the stack's own address. Throws `UsageError`.
 */
export async function findCredentials(
  options: { apiUrl?: string | undefined; key?: string | undefined },
  env: NodeJS.ProcessEnv,
  role: 'agent' | 'admin' = 'agent',
): Promise<Credentials> {
  const apiUrl = options.apiUrl || env.REELAY_API_URL || undefined;
  const key = options.key || env.REELAY_KEY || undefined;
  if (apiUrl && !z.url({ protocol: /^https?$/ }).safeParse(apiUrl).success) {
    throw new UsageError(`The API URL ${apiUrl} is not an http or https URL.`);
  }
  if (apiUrl && key) return { apiUrl, key };
  const path = join(env.REELAY_DATA || '.reelay', 'credentials.json');
  const local = await readLocal(path);
  if (!local) {
    const missing = apiUrl ? '--key or REELAY_KEY' : '--api-url and --key, or REELAY_API_URL and REELAY_KEY';
    throw new UsageError(`There is no ${path} of a running stack: give ${missing}, or start a stack with npm run up.`);
  }
  if (apiUrl && new URL(apiUrl).origin !== new URL(local.apiUrl).origin) {
    throw new UsageError(
      `The key in ${path} is for ${local.apiUrl}: give the key for ${apiUrl} by --key or REELAY_KEY.`,
    );
  }
  const own = role === 'admin' ? local.adminKey : undefined;
  return { apiUrl: apiUrl ?? local.apiUrl, key: key ?? own ?? local.agentKey };
}

async function readLocal(path: string): Promise<z.infer<typeof file> | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new UsageError(`${path} cannot be read (${cause instanceof Error ? cause.message : String(cause)}).`);
  }
  try {
    return file.parse(JSON.parse(text));
  } catch {
    throw new UsageError(`${path} is not a credentials file; npm run up writes a new one.`);
  }
}
