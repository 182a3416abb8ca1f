import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { AppError } from '#errors';
import { type DirectUpload, type DirectUploads, directPartSize, type SignedPut } from './direct-uploads.ts';
import { assertKey } from './keys.ts';
import type { Bucket } from './s3-bucket.ts';
import { onS3 } from './s3-errors.ts';
import { objectHeaders } from './s3-headers.ts';
import { listParts } from './s3-multipart.ts';
import { signedLifetime } from './s3-sign.ts';
import { abortUpload } from './s3-uploads.ts';

const TYPE = { contentType: 'application/octet-stream' };

/** Direct uploads to S3 by presigned requests. Their sizes are signed, and so is the encryption asked for. */
export function createS3Direct(bucket: Bucket, clock: () => number): DirectUploads {
  const { client, signer, name: Bucket, config } = bucket;

  async function sign(
    command: PutObjectCommand | UploadPartCommand,
    headers: Readonly<Record<string, string>>,
    seconds: number,
  ): Promise<SignedPut> {
    const { signingDate, expiresIn, expiresAt } = await signedLifetime(bucket, clock(), seconds);
    const names = new Set(Object.keys(headers));
    const options = {
      expiresIn,
      signingDate,
      unhoistableHeaders: names,
      signableHeaders: new Set([...names, 'host', 'content-length']),
    };
    // The signer's types know one command at a time.
    const url = await getSignedUrl(signer, command as PutObjectCommand, options);
    return { url, headers, expiresAt };
  }

  const target = ({ key, uploadId }: DirectUpload) => ({ Bucket, Key: key, UploadId: uploadId });

  async function parts(upload: DirectUpload) {
    const stored = await listParts(bucket, upload);
    if (stored === undefined) {
      throw new AppError('NOT_FOUND', 'There is no such upload.', { details: { uploadId: upload.uploadId } });
    }
    return [...stored].map(([number, part]) => ({ number, ...part })).sort((a, b) => a.number - b.number);
  }

  return {
    partSize: directPartSize,
    signPut: (key, size, expiresInSeconds) =>
      onS3(() => {
        assertKey(key);
        const { ServerSideEncryption, SSEKMSKeyId } = objectHeaders(config, key, TYPE);
        const encryption = {
          ...(ServerSideEncryption && { 'x-amz-server-side-encryption': ServerSideEncryption }),
          ...(SSEKMSKeyId && { 'x-amz-server-side-encryption-aws-kms-key-id': SSEKMSKeyId }),
        };
        const input = { Bucket, Key: key, ContentLength: size, ServerSideEncryption, SSEKMSKeyId };
        return sign(new PutObjectCommand(input), encryption, expiresInSeconds);
      }),
    begin: (key) =>
      onS3(async () => {
        assertKey(key);
        const headers = objectHeaders(config, key, TYPE);
        const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: key, ...headers }));
        if (UploadId === undefined)
          throw new AppError('STORE_REJECTED', 'The store gave no id for a multipart upload.');
        return UploadId;
      }),
    signPart: (upload, { number, size }, expiresInSeconds) =>
      onS3(() =>
        sign(
          new UploadPartCommand({ ...target(upload), PartNumber: number, ContentLength: size }),
          {},
          expiresInSeconds,
        ),
      ),
    parts: (upload) => onS3(async () => (await parts(upload)).map(({ number, size }) => ({ number, size }))),
    complete: (upload) =>
      onS3(async () => {
        const Parts = (await parts(upload)).map(({ number, etag }) => ({ PartNumber: number, ETag: etag }));
        await client.send(new CompleteMultipartUploadCommand({ ...target(upload), MultipartUpload: { Parts } }));
      }),
    abort: (upload) => onS3(() => abortUpload(bucket, upload)),
  };
}
