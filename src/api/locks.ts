import { toAppError } from '#errors';
import { type FieldError, invalid } from './field-error.ts';
import type { ApiPorts } from './ports.ts';
import type { UploadBody } from './schemas.ts';

/** The longest that S3 locks an object: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html */
const LONGEST_MS = 36_500 * 86_400_000;

/**
 * Throws `VALIDATION_FAILED` for locks that are over, longer than a store keeps any, or on a store that keeps none. A store
 * that is away is not asked: then the worker finds out.
 */
export async function checkLocks({ store, clock }: Pick<ApiPorts, 'store' | 'clock'>, files: UploadBody['files']) {
  const asked = files.flatMap(({ lock }, index) => (lock ? [{ path: `files[${index}].lock`, until: lock.until }] : []));
  if (asked.length === 0) return;
  const now = clock();
  const wrong = asked.flatMap(({ path, until }): FieldError[] => {
    if (until <= now) return [{ path: `${path}.until`, message: 'Must be in the future.' }];
    return until > now + LONGEST_MS ? [{ path: `${path}.until`, message: 'Must be within 100 years.' }] : [];
  });
  if (wrong.length > 0) throw invalid(wrong);
  const canLock = await store.canLock().catch((error: unknown) => {
    if (toAppError(error).unavailable) return true;
    throw error;
  });
  if (canLock) return;
  const message = 'This store has no Object Lock: leave lock out, or use a bucket that was made with it.';
  throw invalid(asked.map(({ path }) => ({ path, message })));
}
