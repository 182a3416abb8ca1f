import { createHash, timingSafeEqual } from 'node:crypto';
import type { ApiKey } from '#metadata/metadata.ts';
import type { RandomBytes } from '#queues/ids.ts';

type ApiKeyFields = Pick<ApiKey, 'name' | 'scopes' | 'projects' | 'createdAt' | 'expiresAt'>;

const KEY = /^rk_([A-Za-z0-9]{1,64})_([\w-]{16,256})$/;

/** Makes a key. `key` is shown once, to its owner; `record` is what Convex keeps. */
export function newApiKey(random: RandomBytes, fields: ApiKeyFields): { key: string; record: ApiKey } {
  const keyId = random(8).toString('hex');
  const secret = random(32).toString('hex');
  return { key: `rk_${keyId}_${secret}`, record: { ...fields, keyId, secretHash: hashSecret(secret) } };
}

/** What Convex keeps of a key that its owner has already; undefined when the text is not one. */
export function apiKeyRecord(key: string, fields: ApiKeyFields): ApiKey | undefined {
  const read = readApiKey(key);
  return read && { ...fields, keyId: read.keyId, secretHash: hashSecret(read.secret) };
}

/** The parts of a key, or undefined when the text is not one. */
export function readApiKey(text: string): { keyId: string; secret: string } | undefined {
  const [, keyId, secret] = KEY.exec(text) ?? [];
  return keyId && secret ? { keyId, secret } : undefined;
}

/** Takes the same time for every wrong secret. */
export function secretMatches(secret: string, secretHash: string): boolean {
  const given = Buffer.from(hashSecret(secret));
  const kept = Buffer.from(secretHash);
  return given.length === kept.length && timingSafeEqual(given, kept);
}

function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
