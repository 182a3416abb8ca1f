import { createPrivateKey, createPublicKey, generateKeyPairSync, hkdfSync, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { calculateJwkThumbprint, exportJWK, jwtVerify, SignJWT } from 'jose';

/** What tokens say and `convex/auth.config.ts` expects. */
const ISSUER = 'https://reelay.local';
const AUDIENCE = 'reelay';
/** Subject of our own processes' tokens; no person can have it. */
const SERVICE = 'service';
const SERVICE_SECONDS = 3_600;
/** A service token is replaced when this share of its life is left. */
const RENEW_BELOW = 0.25;

/** The one secret of a deployment: signs tokens, and other secrets derive from it. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** RFC 7638 thumbprint, the `kid` of tokens and of the JWKS. */
  readonly keyId: string;
}

/** Reads an ES256 private key: PKCS #8 PEM text, or the path of such a file. Throws one sentence when it is neither. */
export async function loadSigningKey(pemOrPath: string): Promise<SigningKey> {
  const pem = pemOrPath.includes('-----BEGIN')
    ? pemOrPath
    : await readFile(pemOrPath, 'utf8').catch((cause: NodeJS.ErrnoException) => {
        throw unusable(`is unset, or no file can be read there (${cause.code})`, cause);
      });
  const privateKey = parsePrivateKey(pem);
  if (privateKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw unusable('is a key of another kind');
  const publicKey = createPublicKey(privateKey);
  return { privateKey, publicKey, keyId: await calculateJwkThumbprint(await exportJWK(publicKey)) };
}

function parsePrivateKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw unusable('is no private key', cause);
  }
}

/** Never shows the value: what was meant as a path may be a key. */
function unusable(why: string, cause?: unknown): Error {
  const takes = 'it takes an EC key on P-256 (ES256) as PKCS #8 PEM, or the path of such a file';
  const make = 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256';
  return new Error(`REELAY_SIGNING_KEY ${why}; ${takes}, and "${make}" makes one.`, { cause });
}

/** A new ES256 private key as PKCS #8 PEM. */
export function generateSigningKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** The public key as a JWKS in a `data:` URI: the value of `REELAY_JWKS` for the Convex functions. */
export async function jwksDataUri(key: SigningKey): Promise<string> {
  const jwk = { ...(await exportJWK(key.publicKey)), kid: key.keyId, alg: 'ES256', use: 'sig' };
  return `data:application/json;base64,${Buffer.from(JSON.stringify({ keys: [jwk] })).toString('base64')}`;
}

/** A token with which our own processes call Convex; lives an hour. */
export function signServiceToken(key: SigningKey): Promise<string> {
  return sign(key, SERVICE, SERVICE_SECONDS);
}

/** A token for a person, `expiresIn` in seconds. What they may see is decided by their memberships. */
export function signViewerToken(
  key: SigningKey,
  { subject, expiresIn }: { subject: string; expiresIn: number },
): Promise<string> {
  if (subject === SERVICE) throw new Error(`A person may not have the subject "${SERVICE}".`);
  return sign(key, subject, expiresIn);
}

/** The person a token names, undefined when it is not ours, has expired, or is the service's. */
export async function verifyViewerToken(key: SigningKey, token: string): Promise<{ subject: string } | undefined> {
  try {
    const { payload } = await jwtVerify(token, key.publicKey, {
      issuer: ISSUER,
      audience: AUDIENCE,
      algorithms: ['ES256'],
      requiredClaims: ['sub', 'exp'],
    });
    return payload.sub === undefined || payload.sub === SERVICE ? undefined : { subject: payload.sub };
  } catch {
    return undefined;
  }
}

/** Gives a service token, the same one until a quarter of its life is left. `now` in milliseconds. */
export function serviceTokens(key: SigningKey, now: () => number = Date.now): () => Promise<string> {
  let token: Promise<string> | undefined;
  let renewAt = 0;
  return () => {
    if (token === undefined || now() >= renewAt) {
      renewAt = now() + SERVICE_SECONDS * 1_000 * (1 - RENEW_BELOW);
      token = signServiceToken(key);
    }
    return token;
  };
}

/** 32 bytes that only holders of the key can know, others for each `purpose`. */
export function deriveSecret(key: SigningKey, purpose: string): Buffer {
  const ikm = key.privateKey.export({ type: 'pkcs8', format: 'der' });
  return Buffer.from(hkdfSync('sha256', ikm, Buffer.alloc(0), `reelay:${purpose}`, 32));
}

function sign(key: SigningKey, subject: string, seconds: number): Promise<string> {
  return new SignJWT()
    .setProtectedHeader({ alg: 'ES256', kid: key.keyId, typ: 'JWT' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(subject)
    .setIssuedAt()
    .setExpirationTime(`${seconds} s`)
    .sign(key.privateKey);
}
