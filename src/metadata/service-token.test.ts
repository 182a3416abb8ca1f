import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  deriveSecret,
  generateSigningKey,
  jwksDataUri,
  loadSigningKey,
  type SigningKey,
  serviceTokens,
  signServiceToken,
  signViewerToken,
  verifyViewerToken,
} from './service-token.ts';

describe('the signing key', () => {
  const pem = generateSigningKey();
  let key: SigningKey;
  let other: SigningKey;
  beforeAll(async () => {
    key = await loadSigningKey(pem);
    other = await loadSigningKey(generateSigningKey());
  });

  it('is read from text or from a file', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'reelay-key-'));
    await writeFile(join(dir, 'key.pem'), pem);
    expect((await loadSigningKey(join(dir, 'key.pem'))).keyId).toBe(key.keyId);
    await rm(dir, { recursive: true });
  });

  it('must be one for ES256', async () => {
    const { generateKeyPairSync } = await import('node:crypto');
    const { privateKey } = generateKeyPairSync('ed25519');
    const wrong = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    await expect(loadSigningKey(wrong)).rejects.toThrow(/P-256/);
  });

  it.each([
    ['a file that is not there', '/nowhere/key.pem', 'is unset, or no file can be read there (ENOENT)'],
    ['a broken PEM', '-----BEGIN PRIVATE KEY-----\nMEE\n-----END PRIVATE KEY-----', 'is no private key'],
  ])('says of %s what it takes and how to make one', async (_, value, why) => {
    const message = await loadSigningKey(value).then(String, (error: Error) => error.message);
    expect(message).toContain(`REELAY_SIGNING_KEY ${why}; it takes an EC key`);
    expect(message).toContain('"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256" makes one.');
    expect(message).not.toContain(value);
  });

  it('publishes a JWKS that verifies its tokens and holds no secret', async () => {
    const uri = await jwksDataUri(key);
    const jwks = JSON.parse(Buffer.from(uri.split(',')[1] ?? '', 'base64').toString());
    expect(Object.keys(jwks.keys[0]).toSorted()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    const { payload } = await jwtVerify(await signServiceToken(key), createLocalJWKSet(jwks), {
      issuer: 'https://reelay.local',
      audience: 'reelay',
    });
    expect(payload.sub).toBe('service');
  });

  it("verifies people's tokens, and nobody else's", async () => {
    const sign = (from: SigningKey, expiresIn: number) => signViewerToken(from, { subject: 'ada', expiresIn });
    expect(await verifyViewerToken(key, await sign(key, 60))).toEqual({ subject: 'ada' });
    expect(await verifyViewerToken(key, await sign(key, -1))).toBeUndefined();
    expect(await verifyViewerToken(key, await sign(other, 60))).toBeUndefined();
    expect(await verifyViewerToken(key, await signServiceToken(key))).toBeUndefined();
    expect(await verifyViewerToken(key, 'rk_something')).toBeUndefined();
    expect(() => signViewerToken(key, { subject: 'service', expiresIn: 60 })).toThrow(/service/);
  });

  it('signs a service token once and again before it expires', async () => {
    let now = Date.now();
    const token = serviceTokens(key, () => now);
    const first = await token();
    const lives = (decodeJwt(first).exp ?? 0) * 1_000 - now;
    now += lives / 2;
    expect(await token()).toBe(first);
    now += lives / 2 - 1_000;
    expect(await token()).not.toBe(first);
  });

  it('gives a secret a purpose, the same each time', () => {
    expect(deriveSecret(key, 'a')).toEqual(deriveSecret(key, 'a'));
    expect(deriveSecret(key, 'a')).toHaveLength(32);
    expect(deriveSecret(key, 'a')).not.toEqual(deriveSecret(key, 'b'));
    expect(deriveSecret(key, 'a')).not.toEqual(deriveSecret(other, 'a'));
  });
});
