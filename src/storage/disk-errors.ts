import { AppError, type ErrorCode } from '#errors';
import { systemCode } from './system-error.ts';

/** What the system says of a disk, in our words. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'STORE_FULL',
  EDQUOT: 'STORE_FULL',
  EFBIG: 'STORE_FULL',
  EACCES: 'STORE_ACCESS_DENIED',
  EPERM: 'STORE_ACCESS_DENIED',
  EROFS: 'STORE_ACCESS_DENIED',
  ENOENT: 'STORE_UNAVAILABLE',
  EIO: 'STORE_UNAVAILABLE',
  EMFILE: 'STORE_UNAVAILABLE',
  ENFILE: 'STORE_UNAVAILABLE',
  EAGAIN: 'STORE_UNAVAILABLE',
  EBUSY: 'STORE_UNAVAILABLE',
  ESTALE: 'STORE_UNAVAILABLE',
  ENODEV: 'STORE_UNAVAILABLE',
  ENXIO: 'STORE_UNAVAILABLE',
  ENOTCONN: 'STORE_UNAVAILABLE',
  ETIMEDOUT: 'STORE_UNAVAILABLE',
};

/** Runs `work` and turns what the system throws into `AppError`; our own errors and a signal's reason pass. */
export async function onDisk<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof AppError) throw error;
    const code = systemCode(error) ?? '';
    const message = `The disk store failed: ${error instanceof Error ? error.message : String(error)}`;
    throw new AppError(CODES[code] ?? 'STORE_REJECTED', message, { cause: error, details: { code } });
  }
}
