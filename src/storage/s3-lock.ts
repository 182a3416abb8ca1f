import {
  GetObjectLockConfigurationCommand,
  type HeadObjectCommandOutput,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import type { ObjectLock } from '#domain';
import { AppError } from '#errors';
import { type Bucket, headObject } from './s3-bucket.ts';
import { isNamed, saidOf, toStoreError } from './s3-errors.ts';
import { lockedUntil } from './s3-headers.ts';

/** By which stores refuse a put with a lock that their bucket cannot keep. */
const REFUSALS = new Set([
  'InvalidRequest',
  'InvalidArgument',
  'NotImplemented',
  'ObjectLockConfigurationNotFoundError',
]);

/** Runs a put; the store's refusal of the lock asked for becomes `LOCK_NOT_APPLIED`. */
export async function withLock<T>(lock: ObjectLock | undefined, put: () => Promise<T>): Promise<T> {
  try {
    return await put();
  } catch (error) {
    const { name, status } = saidOf(error) ?? { name: '', status: undefined };
    if (lock === undefined || status === undefined || !REFUSALS.has(name)) throw error;
    throw new AppError('LOCK_NOT_APPLIED', `The store refused the lock: ${(error as Error).message}`, { cause: error });
  }
}

/** What the store's answer says of an object's lock. */
function lockOf({
  ObjectLockMode: mode,
  ObjectLockRetainUntilDate: until,
}: Pick<HeadObjectCommandOutput, 'ObjectLockMode' | 'ObjectLockRetainUntilDate'>): ObjectLock | undefined {
  return mode && until && { mode, until: until.getTime() };
}

/**
 * Answers the lock of the object that `head` shows. One asked for and not shown is set once more, on that very version: RGW
 * leaves it out of copies and multipart uploads. Throws `LOCK_NOT_APPLIED` unless the store then confirms it, in its mode
 * and for as long as was asked.
 */
export async function confirmLock(
  bucket: Bucket,
  key: string,
  head: HeadObjectCommandOutput,
  asked: ObjectLock | undefined,
): Promise<ObjectLock | undefined> {
  const shown = lockOf(head);
  if (asked === undefined || keeps(shown, asked)) return shown;
  const object = { Bucket: bucket.name, Key: key, VersionId: head.VersionId };
  const Retention = { Mode: asked.mode, RetainUntilDate: lockedUntil(asked) };
  await withLock(asked, () => bucket.client.send(new PutObjectRetentionCommand({ ...object, Retention })));
  const applied = lockOf((await headObject(bucket, key)) ?? {});
  if (keeps(applied, asked)) return applied;
  const words = applied ? `${applied.mode} until ${new Date(applied.until).toISOString()}` : 'none';
  throw new AppError('LOCK_NOT_APPLIED', `The store was asked for a lock (${asked.mode}) and shows ${words}.`, {
    details: { asked, applied },
  });
}

function keeps(lock: ObjectLock | undefined, asked: ObjectLock): boolean {
  return lock?.mode === asked.mode && lock.until >= asked.until;
}

/**
 * Whether the bucket keeps locks. One that has Object Lock never loses it, so only that is remembered. Credentials that may
 * not ask count as yes: each object's own answer decides then.
 */
export function createLockCheck({ client, name }: Bucket): () => Promise<boolean> {
  let known = false;
  return async () => {
    known ||= await client.send(new GetObjectLockConfigurationCommand({ Bucket: name })).then(
      ({ ObjectLockConfiguration: found }) => found?.ObjectLockEnabled === 'Enabled',
      (error: unknown) => {
        if (toStoreError(error).code === 'STORE_ACCESS_DENIED') return true;
        if (isNamed(error, 'ObjectLockConfigurationNotFoundError') || (saidOf(error)?.status ?? 500) < 500)
          return false;
        if (isNamed(error, 'NotImplemented')) return false;
        throw error;
      },
    );
    return known;
  };
}
