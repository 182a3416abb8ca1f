import { pipeline } from 'node:stream/promises';
import { create as contentDisposition } from 'content-disposition';
import type { Request, Response } from 'express';
import { AppError } from '#errors';
import type { ByteRange, ObjectInfo, Store } from '#storage/store.ts';
import { logOf } from './correlation.ts';

interface SentObject {
  readonly key: string;
  readonly filename?: string | undefined;
  /** Saved rather than shown. */
  readonly download: boolean;
  /** What it is called when the store has no such object. */
  readonly lacking?: 'NOT_FOUND' | 'OBJECT_MISSING';
}

/**
 * Streams an object: whole, one range (206), or nothing for HEAD and for a copy that is still fresh (304).
 * Throws `NOT_FOUND` or what is said instead, `RANGE_NOT_SATISFIABLE`, or what the store throws before the first byte.
 */
export async function sendObject(req: Request, res: Response, store: Store, object: SentObject): Promise<void> {
  const info = await store.head(object.key);
  if (!info) throw new AppError(object.lacking ?? 'NOT_FOUND', 'The object is not in the store.');
  const etag = info.etag.startsWith('"') ? info.etag : `"${info.etag}"`;
  res.set({ ETag: etag, 'Last-Modified': new Date(info.lastModified).toUTCString() });
  if (req.fresh) {
    res.status(304).end();
    return;
  }
  const range = askedRange(req, res, info.size, etag);
  if (req.method === 'HEAD') {
    describe(res, info, object, range);
    res.end();
    return;
  }
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  const { body } = await store.get(object.key, { signal: gone.signal, ...(range && { range }) });
  describe(res, info, object, range);
  await pipeline(body, res).catch((err: unknown) => {
    if (!gone.signal.aborted) throw err;
    logOf(res).debug({ err }, 'The reader went away');
  });
}

/** What callers stored is foreign content on our own origin: it is never sniffed, and its scripts do not run. */
function describe(res: Response, info: ObjectInfo, object: SentObject, range: ByteRange | undefined): void {
  const type = object.download ? 'attachment' : 'inline';
  res.set({
    'Accept-Ranges': 'bytes',
    'Cache-Control': 'private, max-age=60',
    'Content-Disposition': contentDisposition(object.filename ?? info.filename, { type }),
    'Content-Length': String(range ? range.end - range.start + 1 : info.size),
    'Content-Security-Policy': 'sandbox',
    'Content-Type': info.contentType ?? 'application/octet-stream',
  });
  if (range) res.status(206).set('Content-Range', `bytes ${range.start}-${range.end}/${info.size}`);
}

/** The one range asked for. Several, or of other units, or of a copy that has changed since: the whole object is sent. */
function askedRange(req: Request, res: Response, size: number, etag: string): ByteRange | undefined {
  const condition = req.get('if-range');
  if (condition !== undefined && condition !== etag) return undefined;
  const ranges = req.range(size);
  if (ranges === -1) {
    res.set('Content-Range', `bytes */${size}`);
    throw new AppError('RANGE_NOT_SATISFIABLE', `The object has ${size} bytes.`);
  }
  if (ranges === undefined || ranges === -2 || ranges.type !== 'bytes' || ranges.length !== 1) return undefined;
  return ranges[0];
}
