import { addAbortSignal, PassThrough, Readable } from 'node:stream';
import { AppError } from '#errors';
import { toStoreError } from './s3-errors.ts';

/** The body of an answer as a stream whose errors are `AppError`; destroying it ends the request. */
export function readBody(body: unknown, signal?: AbortSignal): Readable {
  if (!(body instanceof Readable)) throw new AppError('STORE_REJECTED', 'The store answered without a body.');
  const readable = new PassThrough({ highWaterMark: 256 * 1024 });
  body.on('error', (error) => readable.destroy(toStoreError(error)));
  readable.once('close', () => body.destroy());
  body.pipe(readable);
  return signal ? addAbortSignal(signal, readable) : readable;
}
