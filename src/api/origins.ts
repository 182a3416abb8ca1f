import { realpath, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import ipaddr from 'ipaddr.js';
import { AppError } from '#errors';
import type { FileOrigin } from '#queues/catalog.ts';
import type { OriginInput } from './schemas.ts';

/** A file's bytes when they came with the request, else where a worker finds them; `size` when it is known. */
export type Located = ({ readonly bytes: Buffer } | { readonly origin: FileOrigin }) & {
  readonly size?: number | undefined;
};

/**
 * Judges an origin at the door, so that a mistake is answered and not queued. The worker judges again: a file
 * may change, and a host name may lead anywhere.
 * Throws `PATH_NOT_ALLOWED`, `ORIGIN_NOT_FOUND` or `URL_NOT_ALLOWED`.
 */
export async function locate(input: OriginInput, roots: readonly string[]): Promise<Located> {
  switch (input.kind) {
    case 'inline': {
      const bytes = input.text === undefined ? Buffer.from(input.base64 ?? '', 'base64') : Buffer.from(input.text);
      return { bytes, size: bytes.length };
    }
    case 'path':
      return locatePath(input.path, roots);
    case 'url':
      return locateUrl(input.url);
  }
}

async function locatePath(path: string, roots: readonly string[]): Promise<Located> {
  if (roots.length === 0) {
    throw new AppError('PATH_NOT_ALLOWED', 'Origins of kind path are closed here: UPLOAD_ROOTS is not set.');
  }
  const candidates = await Promise.all(roots.map((root) => insideRoot(path, root)));
  const found = candidates.find((candidate) => candidate !== undefined);
  if (found === undefined) throw new AppError('PATH_NOT_ALLOWED', `${path} is not inside any of UPLOAD_ROOTS.`);
  const facts = found === 'absent' ? undefined : await stat(found);
  if (found === 'absent' || !facts?.isFile()) throw new AppError('ORIGIN_NOT_FOUND', `There is no file ${path}.`);
  return { origin: { kind: 'path', path: found }, size: facts.size };
}

/** The path with links resolved; `absent` when nothing is there; undefined when it leads out of the root. */
async function insideRoot(path: string, root: string): Promise<string | undefined> {
  const asked = resolve(root, path);
  if (!contains(root, asked)) return undefined;
  try {
    const [realRoot, real] = await Promise.all([realpath(root), realpath(asked)]);
    return contains(realRoot, real) ? real : undefined;
  } catch {
    return 'absent';
  }
}

function contains(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function locateUrl(text: string): Located {
  const url = new URL(text);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const local = /(^|\.)localhost\.?$/.test(host) || (isIP(host) !== 0 && ipaddr.process(host).range() !== 'unicast');
  if (local) throw new AppError('URL_NOT_ALLOWED', `${url.host} is not a public address.`);
  if (url.username || url.password) throw new AppError('URL_NOT_ALLOWED', 'The URL carries a user or password.');
  return { origin: { kind: 'url', url: url.href } };
}
