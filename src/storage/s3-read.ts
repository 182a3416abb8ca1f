import { addAbortSignal, PassThrough, Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { AppError } from '#errors';
import type { Bucket } from './s3-bucket.ts';
import { toStoreError } from './s3-errors.ts';
import type { Source } from './store.ts';

/** The body of an answer as a stream whose errors are `AppError`; destroying it ends the request. */
export function readBody(body: unknown, signal?: AbortSignal): Readable {
  if (!(body instanceof Readable)) throw new AppError('STORE_REJECTED', 'The store answered without a body.');
  const readable = new PassThrough({ highWaterMark: 256 * 1024 });
  body.on('error', (error) => readable.destroy(toStoreError(error)));
  readable.once('close', () => body.destroy());
  body.pipe(readable);
  return signal ? addAbortSignal(signal, readable) : readable;
}

/** An object of the bucket as a source. */
export function objectSource({ client, name }: Bucket, key: string, size: number): Source {
  return {
    size,
    async open(offset, signal) {
      const command = new GetObjectCommand({ Bucket: name, Key: key, Range: `bytes=${offset}-` });
      const { Body } = await client.send(command, signal ? { abortSignal: signal } : {});
      return readBody(Body, signal);
    },
  };
}
