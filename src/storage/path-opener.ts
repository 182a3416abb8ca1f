import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, open, readlink, realpath, stat } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { AppError } from '#errors';
import { isMissing, systemCode } from './system-error.ts';

/** A file that was judged while it was open. */
export interface OpenFile {
  readonly handle: FileHandle;
  /** Bytes. */
  readonly size: number;
  /** Tells the file as it is now from another one, and from itself once it is written to. */
  readonly identity: string;
}

/** Opens a file that callers may name. The caller closes the handle. */
export type PathOpener = (path: string) => Promise<OpenFile>;

/** Names a file without opening it, so that no device or FIFO notices; missing in Node's constants. */
const LINUX_O_PATH = 0o10000000;
const IS_LINUX = process.platform === 'linux';
/** A loop of links, a FIFO, a socket. */
const NO_FILE = new Set(['ELOOP', 'ENXIO', 'EOPNOTSUPP']);
/** Of these a later try may see nothing any more. */
const TRANSIENT = new Set(['EIO', 'EMFILE', 'ENFILE', 'ENOMEM', 'ESTALE', 'ETIMEDOUT', 'EAGAIN', 'EBUSY', 'EINTR']);

/**
 * Opens regular files inside `roots` (absolute folders) and nothing else. A relative path is looked for in each root, in
 * order. Throws `PATH_NOT_ALLOWED` for what lies or leads outside or is no regular file, `ORIGIN_NOT_FOUND` for what is
 * not there or may not be read, `ORIGIN_UNREADABLE` when the disk fails. What is judged is the file that is read, not its
 * path, so that swapping it meanwhile gains nothing. A hard link cannot be told from the file itself: who may make one
 * in a root decides what is in the root.
 */
export function createPathOpener(roots: readonly string[]): PathOpener {
  return async (path) => {
    for (const candidate of candidatesIn(roots, path)) {
      const named = await openIfThere(
        candidate,
        IS_LINUX ? LINUX_O_PATH : constants.O_RDONLY | constants.O_NONBLOCK,
        path,
      );
      if (named === undefined) continue;
      const handle = await readableOf(named, candidate, roots, path);
      return { handle, ...identityOf(await handle.stat({ bigint: true })) };
    }
    throw new AppError('ORIGIN_NOT_FOUND', 'There is no such file in UPLOAD_ROOTS.', { details: { path } });
  };
}

/** What `OpenFile` says of a file, from its facts. */
export function identityOf({ dev, ino, size, mtimeNs }: BigIntStats): { size: number; identity: string } {
  return { size: Number(size), identity: [dev, ino, size, mtimeNs].join(':') };
}

/** Where a path may lead by its letters alone. */
function candidatesIn(roots: readonly string[], path: string): string[] {
  if (roots.length === 0) throw notAllowed('Paths are refused: UPLOAD_ROOTS names no folder to read from.', path);
  if (path.includes('\0')) throw notAllowed('The path has a NUL in it.', path);
  if (path.endsWith('/')) throw notAllowed('The path names a folder.', path);
  const candidates = roots.map((root) => resolve(root, path)).filter((file, index) => isInside(roots[index], file));
  if (candidates.length === 0) throw notAllowed('The path leads out of UPLOAD_ROOTS.', path);
  return candidates;
}

/** Undefined when there is no such file. */
async function openIfThere(file: string, flags: number, path: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, flags);
  } catch (error) {
    if (isMissing(error)) return undefined;
    const code = systemCode(error) ?? '';
    if (NO_FILE.has(code)) throw notAllowed('The path is not a regular file.', path);
    throw new AppError(
      TRANSIENT.has(code) ? 'ORIGIN_UNREADABLE' : 'ORIGIN_NOT_FOUND',
      `The file cannot be read: ${code}.`,
      { cause: error, details: { path } },
    );
  }
}

/** Judges the named file, and opens that very one for reading. */
async function readableOf(named: FileHandle, candidate: string, roots: readonly string[], path: string) {
  let handle: FileHandle | undefined;
  try {
    if (!(await named.stat()).isFile()) throw notAllowed('The path is not a regular file.', path);
    const real = await realPathOf(named, candidate);
    if (!(await isInsideAny(roots, real))) throw notAllowed('The path leads out of UPLOAD_ROOTS.', path);
    handle = IS_LINUX ? await openIfThere(fdPath(named), constants.O_RDONLY, path) : named;
    if (handle === undefined) throw new AppError('ORIGIN_UNREADABLE', 'The file cannot be read: /proc is not there.');
    return handle;
  } finally {
    if (handle !== named) await named.close();
  }
}

async function isInsideAny(roots: readonly string[], real: string | undefined): Promise<boolean> {
  if (real === undefined || !isAbsolute(real)) return false;
  for (const root of roots) {
    const realRoot = await realpath(root).catch(() => undefined);
    if (isInside(realRoot, real)) return true;
  }
  return false;
}

/** Linux knows where an open file lies; elsewhere the path is resolved again and must still be the same file. */
async function realPathOf(handle: FileHandle, candidate: string): Promise<string | undefined> {
  if (IS_LINUX) return readlink(fdPath(handle));
  const real = await realpath(candidate);
  const [opened, resolved] = [await handle.stat(), await stat(real)];
  return opened.dev === resolved.dev && opened.ino === resolved.ino ? real : undefined;
}

function fdPath(handle: FileHandle): string {
  return `/proc/self/fd/${handle.fd}`;
}

function isInside(root: string | undefined, file: string): boolean {
  if (root === undefined) return false;
  const way = relative(root, file);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function notAllowed(message: string, path: string): AppError {
  return new AppError('PATH_NOT_ALLOWED', message, { details: { path } });
}
