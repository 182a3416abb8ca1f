import type { Bucket } from './s3-bucket.ts';

/** When a URL signed at `now` for `seconds` begins and ends: whole seconds, and never beyond the credentials' own end. */
export async function signedLifetime({ signer, region }: Bucket, now: number, seconds: number) {
  const begins = Math.floor(now / 1000) * 1000;
  await region();
  const { expiration } = await signer.config.credentials();
  const left = expiration ? Math.floor((expiration.getTime() - begins) / 1000) : seconds;
  const expiresIn = Math.max(1, Math.min(seconds, left));
  return { signingDate: new Date(begins), expiresIn, expiresAt: begins + expiresIn * 1000 };
}
