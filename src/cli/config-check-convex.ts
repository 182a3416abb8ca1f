import type { Config } from '#config';
import type { AppError } from '#errors';
import { createConvexMetadata } from '#metadata/convex.ts';
import { loadSigningKey, serviceTokens } from '#metadata/service-token.ts';
import packageJson from '#package' with { type: 'json' };
import { asFinding, type Finding, findingsOf } from './config-finding.ts';

const { ok, warning, error } = findingsOf('convex');
const DEPLOY = 'Bring it the functions of this version and our public key: bash scripts/deploy.sh.';

/** Whether Convex answers, has the functions of this version, and takes our tokens. */
export async function checkConvex({ convexUrl: url, signingKey }: Config): Promise<Finding[]> {
  const key = await loadSigningKey(signingKey).catch((thrown: unknown) => thrown as Error);
  if (key instanceof Error) {
    return [asFinding('convex', key, 'Name an ES256 key in REELAY_SIGNING_KEY; npm run up makes one for itself.')];
  }
  const metadata = createConvexMetadata({ url, token: serviceTokens(key) });
  try {
    await metadata.check();
    const deployed = functions(await metadata.version());
    // Only the service may ask for keys, so an answer says that it knows us.
    await metadata.findApiKey('config-check');
    return [ok(`Convex answers at ${url}`), deployed, ok('takes tokens of the signing key')];
  } catch (thrown) {
    const { code, message, details } = thrown as Partial<AppError>;
    const answered = code === 'METADATA_REJECTED' || code === 'METADATA_FAILED';
    const refused = answered || details?.status === 401 || details?.status === 403;
    if (refused) return [error(`Convex at ${url} refuses us: ${message}`, DEPLOY)];
    return [asFinding('convex', thrown, `Start it, or correct CONVEX_URL (${url}).`)];
  }
}

function functions(deployed: string | undefined): Finding {
  if (deployed === packageJson.version) return ok(`functions of version ${deployed}`);
  return warning(`functions of version ${deployed ?? 'unknown'}, and not ${packageJson.version}`, DEPLOY);
}
