import { constants } from 'node:fs';
import { type FileHandle, open, readlink, realpath, stat } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import type { Readable } from 'node:stream';
import { AppError } from '#errors';
import type { Source } from './store.ts';
import { systemCode } from './system-error.ts';

/** Opens a file that callers may name. The caller closes the handle. */
export type PathOpener = (path: string) => Promise<{ handle: FileHandle; size: number }>;

const READ_SIZE = 256 * 1024;

/**
 * Opens regular files inside `roots` (absolute folders) and nothing else. A relative path is looked for in each root, in
 * order. Throws `PATH_NOT_ALLOWED` for what lies or leads outside or is no regular file, `ORIGIN_NOT_FOUND` for what is
 * not there or cannot be read. The file is judged once it is open, so that swapping it meanwhile gains nothing.
 */
export function createPathOpener(roots: readonly string[]): PathOpener {
  return async (path) => {
    if (roots.length === 0) {
      throw notAllowed('Paths are refused: UPLOAD_ROOTS names no folder to read from.', path);
    }
    if (path.includes('\0')) throw notAllowed('The path has a NUL in it.', path);
    const candidates = roots.map((root) => resolve(root, path)).filter((file, index) => isInside(roots[index], file));
    if (candidates.length === 0) throw notAllowed('The path leads out of UPLOAD_ROOTS.', path);
    for (const candidate of candidates) {
      const handle = await openFile(candidate, path);
      if (handle === undefined) continue;
      try {
        return { handle, size: await judge(handle, candidate, roots, path) };
      } catch (error) {
        await handle.close();
        throw error;
      }
    }
    throw new AppError('ORIGIN_NOT_FOUND', 'There is no such file in UPLOAD_ROOTS.', { details: { path } });
  };
}

/** The file at `path`, opened through `openPath` at once, to learn its size, and again at each `open`. */
export async function fileSource(path: string, openPath: PathOpener): Promise<Source & { readonly size: number }> {
  const { handle, size } = await openPath(path);
  await handle.close();
  return {
    size,
    async open(offset, signal): Promise<Readable> {
      signal?.throwIfAborted();
      const file = await openPath(path);
      return file.handle.createReadStream({ start: offset, highWaterMark: READ_SIZE });
    },
  };
}

/** Not waiting for a FIFO's writer. Undefined when there is no such file. */
async function openFile(candidate: string, path: string): Promise<FileHandle | undefined> {
  try {
    return await open(candidate, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'ELOOP' || code === 'ENXIO') throw notAllowed('The path is not a regular file.', path);
    throw new AppError('ORIGIN_NOT_FOUND', `The file cannot be read: ${code}.`, { cause: error, details: { path } });
  }
}

/** Size of an open file that is regular and inside the roots; throws for any other. */
async function judge(handle: FileHandle, candidate: string, roots: readonly string[], path: string): Promise<number> {
  const found = await handle.stat();
  if (!found.isFile()) throw notAllowed('The path is not a regular file.', path);
  const real = await realPathOf(handle, candidate);
  for (const root of roots) {
    const realRoot = await realpath(root).catch(() => undefined);
    if (realRoot !== undefined && isInside(realRoot, real)) return found.size;
  }
  throw notAllowed('The path leads out of UPLOAD_ROOTS.', path);
}

/** Linux knows where an open file lies; elsewhere the path is resolved again and must still be the same file. */
async function realPathOf(handle: FileHandle, candidate: string): Promise<string> {
  if (process.platform === 'linux') return readlink(`/proc/self/fd/${handle.fd}`);
  const real = await realpath(candidate);
  const [opened, resolved] = [await handle.stat(), await stat(real)];
  return opened.dev === resolved.dev && opened.ino === resolved.ino ? real : '';
}

function isInside(root: string | undefined, file: string): boolean {
  if (root === undefined) return false;
  const way = relative(root, file);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function notAllowed(message: string, path: string): AppError {
  return new AppError('PATH_NOT_ALLOWED', message, { details: { path } });
}
