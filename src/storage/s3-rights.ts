import { CreateMultipartUploadCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { Bucket } from './s3-bucket.ts';
import { refused, toStoreError } from './s3-errors.ts';
import { objectHeaders } from './s3-headers.ts';
import { listParts } from './s3-multipart.ts';
import { abortUpload, listUploads } from './s3-uploads.ts';

/**
 * Which of the rights are refused that only listing, resuming and reconciling need, in the words of IAM: a bucket without them
 * takes files and looks well. `key` is one to begin an upload of; where that cannot be aborted, it stays.
 */
export async function missingRights(bucket: Bucket, key: string): Promise<string[]> {
  const { client, name, config } = bucket;
  const headers = objectHeaders(config, key, { contentType: 'text/plain' });
  const begun = await client
    .send(new CreateMultipartUploadCommand({ Bucket: name, Key: key, ...headers }))
    .catch(refused);
  const uploadId = begun ? begun.UploadId : undefined;
  const tries: [right: string, use: () => Promise<unknown>][] = [
    ['s3:ListBucket', () => client.send(new ListObjectsV2Command({ Bucket: name, Prefix: key, MaxKeys: 1 }))],
    ['s3:ListBucketMultipartUploads', () => listUploads(bucket, key, { limit: 1 })],
  ];
  if (uploadId) {
    tries.push(['s3:ListMultipartUploadParts', () => listParts(bucket, { key, uploadId })]);
    tries.push(['s3:AbortMultipartUpload', () => abortUpload(bucket, { key, uploadId })]);
  }
  const missing: string[] = [];
  for (const [right, use] of tries) if (await isDenied(use)) missing.push(right);
  return missing;
}

async function isDenied(use: () => Promise<unknown>): Promise<boolean> {
  try {
    await use();
    return false;
  } catch (error) {
    return toStoreError(error).code === 'STORE_ACCESS_DENIED' || refused(error);
  }
}
