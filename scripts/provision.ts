/**
 * What a deployment needs once, beside its processes. The environment is that of the API.
 *   node scripts/provision.ts jwks           the value of REELAY_JWKS; makes the signing key when it is missing
 *   node scripts/provision.ts credentials    makes credentials.json under REELAY_DATA and tells Convex of its keys
 */
import { mkdir } from 'node:fs/promises';
import { readConfig } from '#config';
import { credentialsFile, prepareCredentials, prepareSigningKey } from '#local/credentials.ts';
import { seed } from '#local/seed.ts';
import { jwksDataUri } from '#metadata/service-token.ts';

const config = readConfig(process.env);
await mkdir(config.dataDir, { recursive: true, mode: 0o700 });
const key = await prepareSigningKey(config);

switch (process.argv[2]) {
  case 'jwks':
    process.stdout.write(`${await jwksDataUri(key)}\n`);
    break;
  case 'credentials':
    await seed(config, key, await prepareCredentials(config, key, Date.now()), Date.now());
    process.stdout.write(`${credentialsFile(config.dataDir)}\n`);
    break;
  default:
    process.stderr.write('node scripts/provision.ts jwks|credentials\n');
    process.exitCode = 64;
}
