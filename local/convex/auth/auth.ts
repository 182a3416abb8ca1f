import type { JSONValue } from 'convex/values';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeJwt,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import { LRUCache } from 'lru-cache';
import { parseJson } from '#local/convex/values/parse-json.ts';
import { isPlainObject } from '#local/convex/values/validate.ts';
import { isAdminKey } from './admin-key.ts';

/** What `ctx.auth.getUserIdentity()` answers. */
export interface UserClaims {
  readonly [claim: string]: JSONValue | undefined;
  readonly tokenIdentifier: string;
  readonly issuer: string;
  readonly subject: string;
}

/** Who calls. `expiresAt` is in milliseconds since the epoch. */
export type Identity =
  | { readonly kind: 'nobody' }
  | { readonly kind: 'user'; readonly claims: UserClaims; readonly expiresAt: number }
  | { readonly kind: 'admin'; readonly actingAs?: UserClaims | undefined };

export const NOBODY: Identity = { kind: 'nobody' };

/** The token was refused. `code` is Convex's word for why. */
export class AuthFailure extends Error {
  override readonly name = 'AuthFailure';
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** A token seen again is taken without another look at its signature for this long. */
const VERIFIED_MS = 60_000;

/** Turns credentials into identities. Both throw `AuthFailure`. */
export interface Authenticator {
  user(token: string): Promise<Identity>;
  /** The admin key alone, or followed by `:` and base64 JSON of the claims to act with. */
  admin(key: string): Identity;
}

interface Provider {
  readonly issuer: string;
  readonly applicationID: string | undefined;
  readonly algorithm: string;
  readonly keys: JWTVerifyGetKey;
}

/** Reads the default export of `auth.config.ts`. Only `customJwt` providers are taken; others throw. */
export function authenticatorOf(config: unknown, adminKey: string): Authenticator {
  const providers = providersOf(config);
  const verified = new LRUCache<string, Identity>({ max: 1_000, ttl: VERIFIED_MS });
  return {
    async user(token) {
      const known = verified.get(token);
      if (known && !isExpired(known, Date.now())) return known;
      const { iss, aud } = claimsUnverified(token);
      const audiences = [aud].flat();
      const provider = providers.find(
        ({ issuer, applicationID }) =>
          issuer === iss && (applicationID === undefined || audiences.includes(applicationID)),
      );
      if (!provider) throw new AuthFailure('NoAuthProvider', `No auth provider found matching the given token.`);
      const identity = await verify(token, provider);
      verified.set(token, identity);
      return identity;
    },
    admin(given) {
      const [key = '', acting] = given.split(':');
      if (!isAdminKey(key, adminKey)) throw new AuthFailure('BadAdminKey', 'The provided admin key was invalid.');
      return { kind: 'admin', actingAs: acting === undefined ? undefined : actingAs(decodeActing(acting)) };
    },
  };
}

/** Claims of somebody an admin acts as. */
export function actingAs(attributes: { readonly [claim: string]: JSONValue | undefined }): UserClaims {
  const issuer = String(attributes.issuer ?? '');
  const subject = String(attributes.subject ?? '');
  return { ...attributes, issuer, subject, tokenIdentifier: `${issuer}|${subject}` };
}

/** The claims functions see, undefined for nobody. */
export function claimsOf(identity: Identity): UserClaims | undefined {
  if (identity.kind === 'user') return identity.claims;
  return identity.kind === 'admin' ? identity.actingAs : undefined;
}

/** True when a user's token is past its time. */
export function isExpired(identity: Identity, now: number): boolean {
  return identity.kind === 'user' && identity.expiresAt <= now;
}

const STANDARD_CLAIMS: Readonly<Record<string, string>> = {
  given_name: 'givenName',
  family_name: 'familyName',
  preferred_username: 'preferredUsername',
  profile: 'profileUrl',
  picture: 'pictureUrl',
  email_verified: 'emailVerified',
  birthdate: 'birthday',
  zoneinfo: 'timezone',
  locale: 'language',
  phone_number: 'phoneNumber',
  phone_number_verified: 'phoneNumberVerified',
  updated_at: 'updatedAt',
};
const NOT_SHOWN = new Set(['iss', 'sub', 'aud', 'exp', 'iat', 'nbf']);

async function verify(token: string, provider: Provider): Promise<Identity> {
  try {
    const { payload } = await jwtVerify(token, provider.keys, {
      issuer: provider.issuer,
      algorithms: [provider.algorithm],
      requiredClaims: ['sub', 'exp'],
      clockTolerance: 5,
      ...(provider.applicationID === undefined ? {} : { audience: provider.applicationID }),
    });
    return { kind: 'user', claims: userClaims(payload), expiresAt: (payload.exp ?? 0) * 1000 };
  } catch (error) {
    throw new AuthFailure(
      'InvalidAuthToken',
      `Could not verify token claim. Check that the token signature is valid and the token hasn't expired. (${error instanceof Error ? error.message : error})`,
      error,
    );
  }
}

function userClaims(payload: JWTPayload): UserClaims {
  const issuer = payload.iss ?? '';
  const subject = payload.sub ?? '';
  const claims: Record<string, JSONValue> = {};
  for (const [claim, value] of Object.entries(payload)) {
    if (!NOT_SHOWN.has(claim)) claims[STANDARD_CLAIMS[claim] ?? claim] = value as JSONValue;
  }
  return { ...claims, tokenIdentifier: `${issuer}|${subject}`, issuer, subject };
}

function claimsUnverified(token: string): JWTPayload {
  try {
    return decodeJwt(token);
  } catch (error) {
    throw new AuthFailure('InvalidAuthHeader', 'Could not parse JWT payload.', error);
  }
}

function decodeActing(base64: string): { [claim: string]: JSONValue } {
  let cause: unknown;
  try {
    const acting = parseJson(Buffer.from(base64, 'base64'));
    if (isPlainObject(acting)) return acting;
  } catch (error) {
    cause = error;
  }
  throw new AuthFailure('BadAdminKey', 'The identity after the admin key is not base64 of a JSON object.', cause);
}

function providersOf(config: unknown): Provider[] {
  const listed = (config as { providers?: unknown } | undefined)?.providers ?? [];
  if (!Array.isArray(listed)) throw new Error('auth.config.ts must export `{ providers: [...] }`.');
  return listed.map((entry: Record<string, unknown>) => {
    const { type, issuer, jwks, algorithm, applicationID } = entry;
    if (type !== 'customJwt') throw new Error('auth.config.ts: this engine takes `customJwt` providers only.');
    if (typeof issuer !== 'string' || typeof jwks !== 'string' || typeof algorithm !== 'string') {
      throw new Error(
        'auth.config.ts: a customJwt provider needs `issuer`, `jwks` and `algorithm`; is a variable unset?',
      );
    }
    return {
      issuer,
      algorithm,
      applicationID: typeof applicationID === 'string' ? applicationID : undefined,
      keys: keysOf(jwks),
    };
  });
}

/** A `data:` URI holds the keys themselves; any other URL is fetched when first needed. */
function keysOf(jwks: string): JWTVerifyGetKey {
  if (!URL.canParse(jwks))
    throw new Error(`auth.config.ts: \`jwks\` is "${jwks}", which is no URL; is a variable unset?`);
  if (!jwks.startsWith('data:')) return createRemoteJWKSet(new URL(jwks));
  const comma = jwks.indexOf(',');
  const body = jwks.slice(comma + 1);
  const text = jwks.slice(0, comma).endsWith(';base64')
    ? Buffer.from(body, 'base64').toString()
    : decodeURIComponent(body);
  return createLocalJWKSet(JSON.parse(text));
}
