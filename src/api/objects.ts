import type { Request, RequestHandler, Router } from 'express';
import type { StoredFacts } from '#domain';
import { AppError } from '#errors';
import type { Store } from '#storage/store.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { sendObject } from './send-object.ts';

/** `/objects/<key>?expires=&signature=`: the disk store's signed URLs, to read or to put. The signature is the permission. */
export function objects(router: Router, { store, verifyDiskUrl }: ApiPorts): void {
  const get: RequestHandler = async (req, res) => {
    const { key, filename, download, put } = verifyDiskUrl(req.originalUrl);
    if (put !== undefined) throw new AppError('FORBIDDEN', 'The URL was signed for a PUT.');
    // Frontends of any origin may read what they were given a URL for.
    res.set('Access-Control-Allow-Origin', '*');
    await sendObject(req, res, store, { key, filename, download });
  };
  const put: RequestHandler = async (req, res) => {
    const { key, put: size } = verifyDiskUrl(req.originalUrl);
    if (size === undefined) throw new AppError('FORBIDDEN', 'The URL was signed for reading.');
    res.set('ETag', `"${(await receive(req, store, key, size)).checksum}"`).end();
  };
  resource(router, '/objects/*key', { get, put });
}

/** Stores a body of exactly `size` bytes. Throws `SIZE_MISMATCH` or `TOO_LARGE`. */
async function receive(req: Request, store: Store, key: string, size: number): Promise<StoredFacts> {
  const announced = req.get('content-length');
  if (announced !== undefined && Number(announced) !== size) {
    throw new AppError('SIZE_MISMATCH', `The URL was signed for ${size} bytes, not ${announced}.`);
  }
  const gone = new AbortController();
  const brokeOff = () => gone.abort(new AppError('SIZE_MISMATCH', `The body ended before its ${size} bytes.`));
  req.once('aborted', brokeOff);
  const source = { size, open: async () => req };
  const { signal } = gone;
  return store
    .put(key, source, { contentType: 'application/octet-stream', maxSize: size, signal })
    .finally(() => req.off('aborted', brokeOff));
}
