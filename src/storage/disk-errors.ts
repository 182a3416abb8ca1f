import { AppError, type ErrorCode, type FailureRow } from '#errors';
import { systemCode } from './system-error.ts';

/** Everything that the system is known to say of a disk, by name. What is not here is `STORE_FAILED`. */
export const DISK_FAILURES: readonly FailureRow[] = [
  { code: 'STORE_FULL', why: 'No room, or a quota.', says: ['ENOSPC', 'EDQUOT', 'EFBIG'] },
  {
    code: 'STORE_ACCESS_DENIED',
    why: 'Rights, or a file system mounted read-only: a person must change them.',
    says: ['EACCES', 'EPERM', 'EROFS'],
  },
  {
    code: 'STORE_UNAVAILABLE',
    why: 'The disk fails, is not mounted, or its server does not answer.',
    says: ['ENOENT', 'EIO', 'ESTALE', 'ENODEV', 'ENXIO', 'ENOTCONN', 'EHOSTDOWN', 'ETIMEDOUT', 'EREMOTEIO'],
  },
  {
    code: 'STORE_UNAVAILABLE',
    why: 'The machine has no more to give for now.',
    says: ['EMFILE', 'ENFILE', 'EAGAIN', 'EBUSY', 'ENOMEM', 'ENOBUFS', 'EINTR'],
  },
  {
    code: 'STORE_REJECTED',
    why: 'The file system takes no such name, or what lies there is of another kind.',
    says: [
      'ENAMETOOLONG',
      'EINVAL',
      'EILSEQ',
      'ELOOP',
      'ENOTDIR',
      'EISDIR',
      'EMLINK',
      'ENOTSUP',
      'EOPNOTSUPP',
      'ENOSYS',
    ],
  },
];

const CODES: ReadonlyMap<unknown, ErrorCode> = new Map(
  DISK_FAILURES.flatMap(({ code, says }) => says.map((said) => [said, code] as const)),
);

/** Runs `work` and turns what the system throws into `AppError`; our own errors and a signal's reason pass. */
export async function onDisk<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof AppError) throw error;
    const code = systemCode(error) ?? '';
    const message = `The disk store failed: ${error instanceof Error ? error.message : String(error)}`;
    throw new AppError(CODES.get(code) ?? 'STORE_FAILED', message, { cause: error, details: { code } });
  }
}
