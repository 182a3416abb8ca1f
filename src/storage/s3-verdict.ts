import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import type { StoredFacts } from '#domain';
import { AppError, type ErrorCode } from '#errors';
import { type Bucket, headObject } from './s3-bucket.ts';
import type { Expected } from './s3-digest.ts';
import { toStoreError } from './s3-errors.ts';
import { verdictFields } from './s3-journal.ts';
import type { Abilities } from './s3-probe.ts';
import { quarantineStored } from './s3-quarantine.ts';
import { inspectStored } from './s3-verify.ts';
import type { PutOptions } from './store.ts';

/** The store holds other bytes than it was sent. */
const MISMATCHES: ReadonlySet<ErrorCode> = new Set(['CHECKSUM_MISMATCH', 'SIZE_MISMATCH']);
/** After these nobody wants the object either. Any other leaves it: another worker may have committed it meanwhile. */
const NEEDLESS: ReadonlySet<ErrorCode> = new Set(['ENCRYPTION_NOT_APPLIED', 'LOCK_NOT_APPLIED', 'CANCELLED']);

type Asked = Pick<PutOptions, 'signal' | 'onProgress' | 'lock' | 'journal'> & {
  /** Whether wrong bytes are kept as evidence; false where they may be right, and what was announced of them wrong. */
  readonly quarantine?: boolean;
};

/**
 * Asks the store what it holds at `key`, as `inspectStored` does, and lets nothing wrong stay there. Wrong bytes are
 * quarantined, and the error's `details.quarantined` is true; what is not encrypted or locked as asked, or not wanted any
 * more, is deleted. Who lost the job by then touches nothing: what it looks at may be another's, and committed.
 */
export async function verifyStored(
  bucket: Bucket,
  abilities: Abilities,
  key: string,
  expected: Expected,
  { quarantine = true, ...asked }: Asked,
): Promise<StoredFacts> {
  const head = await headObject(bucket, key);
  if (head === undefined) throw new AppError('STORE_UNAVAILABLE', 'The object is gone before it could be verified.');
  try {
    return await inspectStored(bucket, key, head, expected, asked);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const isWrong = MISMATCHES.has(error.code);
    if (!isWrong && !NEEDLESS.has(error.code)) throw error;
    await assertOurs(error, asked);
    const quarantined = isWrong && quarantine && (await tryQuarantine(bucket, abilities, key));
    if (quarantined) {
      throw new AppError(error.code, error.message, { details: { ...error.details, quarantined }, cause: error });
    }
    await remove(bucket, key, head.VersionId);
    throw error;
  }
}

/** Rejects when the job is another's; only a journal knows for certain. */
async function assertOurs(error: AppError, { journal, signal }: Asked): Promise<void> {
  if (journal) await journal.write(verdictFields(error.code));
  else if (error !== signal?.reason) signal?.throwIfAborted();
}

/** The facts of the object at `key` if it is as expected already; undefined when it is to be put anew. */
export async function recogniseStored(
  bucket: Bucket,
  key: string,
  expected: Expected,
  asked: Asked,
): Promise<StoredFacts | undefined> {
  const head = await headObject(bucket, key);
  if (head === undefined) return undefined;
  try {
    return await inspectStored(bucket, key, head, expected, asked);
  } catch (error) {
    asked.signal?.throwIfAborted();
    if (error instanceof AppError && (MISMATCHES.has(error.code) || NEEDLESS.has(error.code))) return undefined;
    throw error;
  }
}

/** False when the store does not let it be done; one that is away is asked again with the whole put. */
async function tryQuarantine(bucket: Bucket, abilities: Abilities, key: string): Promise<boolean> {
  return quarantineStored(bucket, abilities, key).catch((error: unknown) => {
    if (toStoreError(error).unavailable) throw error;
    return false;
  });
}

/** A version that a lock protects stays; a marker over it still leaves nothing readable at the key. */
async function remove({ client, name }: Bucket, key: string, versionId: string | undefined): Promise<void> {
  const object = { Bucket: name, Key: key };
  await client
    .send(new DeleteObjectCommand({ ...object, VersionId: versionId }))
    .catch(() => client.send(new DeleteObjectCommand(object)))
    .catch(() => undefined);
}
