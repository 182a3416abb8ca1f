import type { Config, S3Config } from '#config';
import { examineStore, type StoreExamination } from '#storage/examine.ts';
import { asFinding, type Finding, findingsOf } from './config-finding.ts';
import { sizeText } from './output.ts';

type InS3 = Extract<StoreExamination, { kind: 's3' }>;

const { ok, warning, error } = findingsOf('store');
const GIB = 1024 ** 3;

/** Whether the store can be written to, and what it does of what Reelay can make use of. */
export async function checkStore({ store, publicUrl }: Config): Promise<Finding[]> {
  try {
    const found = await examineStore(store, new URL(publicUrl).origin);
    if (found.kind === 'disk') return [disk(found)];
    return store.kind === 's3' ? inS3(store, found) : [];
  } catch (thrown) {
    return [asFinding('store', thrown)];
  }
}

function disk({ dir, freeBytes }: Extract<StoreExamination, { kind: 'disk' }>): Finding {
  const what = `disk at ${dir}, ${sizeText(freeBytes)} free, no Object Lock`;
  return freeBytes < GIB ? warning(what, 'Free some room, or name a bucket in S3_BUCKET.') : ok(what);
}

function inS3(config: S3Config, found: InS3): Finding[] {
  const where = `bucket ${config.bucket} in ${found.region}, at ${config.endpoint ?? 'AWS'}`;
  const elsewhere = `Set AWS_REGION=${found.region}: it says ${config.region}, and each process finds that out anew.`;
  const { defaultEncryption } = found;
  return [
    found.region === config.region ? ok(where) : warning(where, elsewhere),
    rights(found),
    checksums(found),
    encryption(config, defaultEncryption),
    versions(found),
    ok(`conditional writes ${found.conditionalWrites ? 'work' : 'are ignored'}`),
    trailers(config, found),
    signedUrl(found),
    found.cors
      ? ok('pages of the API may read signed URLs (CORS)')
      : warning(
          'pages of the API may not read signed URLs (CORS)',
          'Allow GET from its address in the CORS of the bucket.',
        ),
  ];
}

function rights({ missingRights }: InS3): Finding {
  if (missingRights.length === 0) return ok('the credentials may list objects and uploads');
  const what = `the credentials may not use ${missingRights.join(', ')}: uploads cannot be resumed, nor drift be found`;
  return error(what, 'Allow it to them in their policy, for the bucket and what is in it.');
}

function checksums({ sha256, md5Etag, composite, fullObject }: InS3): Finding {
  const kept = [
    sha256 && 'SHA-256',
    composite && 'composite checksums of parts',
    fullObject && 'full-object checksums of parts',
    md5Etag && 'MD5 ETags',
  ].filter((one) => one !== false);
  if (kept.length > 0) return ok(`verifies by ${kept.join(', ')}`);
  // Under KMS an ETag is no digest of the bytes.
  return warning('verifies nothing itself', 'Each object is read back once after it is stored, which takes time.');
}

function encryption({ sse, kmsKeyId }: S3Config, byDefault: InS3['defaultEncryption']): Finding {
  const bucket = `the bucket's own: ${byDefault ?? 'none'}`;
  if (sse)
    return ok(`encryption ${sse}${kmsKeyId && sse === 'aws:kms' ? ` with ${kmsKeyId}` : ''} is confirmed (${bucket})`);
  return ok(`no encryption is asked for (${bucket})`);
}

function versions({ versioning, endsOldVersions, objectLock }: InS3): Finding {
  const what = `versioning ${versioning}, Object Lock ${objectLock ? 'on' : 'off'}`;
  if (versioning !== 'on' || endsOldVersions !== false) return ok(what);
  return warning(
    `${what}: what is deleted stays as an old version, staged bytes too`,
    'Add a lifecycle rule to the bucket that ends noncurrent versions (NoncurrentVersionExpiration).',
  );
}

function trailers({ checksumMode }: S3Config, { streamedTrailers }: InS3): Finding {
  const what = `streamed trailers are ${streamedTrailers ? 'taken' : 'refused'}, S3_CHECKSUM_MODE ${checksumMode}`;
  return ok(what);
}

function signedUrl({ signedUrl: answer }: InS3): Finding {
  if (answer === 200) return ok('a signed URL serves its object');
  const what =
    typeof answer === 'number' ? `a signed URL answers ${answer}` : `a signed URL cannot be fetched: ${answer}`;
  return error(what, 'Give S3_ENDPOINT_URL the address that readers reach, and check the clock of this machine.');
}
