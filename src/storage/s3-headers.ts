import type { ObjectLockMode, ServerSideEncryption, StorageClass } from '@aws-sdk/client-s3';
import { create as contentDisposition } from 'content-disposition';
import type { S3Config } from '#config';
import type { ObjectLock } from '#domain';
import { isStaging } from './keys.ts';
import type { PutOptions } from './store.ts';

/** Name of the metadata that carries the SHA-256 known when the put began, for stores that keep none themselves. */
export const SHA256_METADATA = 'sha256';

/** Headers kept with an object, as the SDK names them. */
export interface ObjectHeaders {
  ContentType: string;
  ContentDisposition?: string;
  Metadata: Record<string, string>;
  ServerSideEncryption?: ServerSideEncryption;
  SSEKMSKeyId?: string;
  StorageClass?: StorageClass;
  Tagging?: string;
  ObjectLockMode?: ObjectLockMode;
  ObjectLockRetainUntilDate?: Date;
}

/**
 * The headers of the object at `key`: type, file name (in any script, RFC 8187), metadata, and what configuration and
 * caller ask of the store: encryption, storage class, tags, a lock.
 */
export function objectHeaders(config: S3Config, key: string, options: PutOptions): ObjectHeaders {
  const { contentType, filename, metadata = {}, checksum, lock } = options;
  // Headers are ASCII; a percent escape is how any other text travels.
  const escaped = Object.entries(metadata).map(([name, value]) => [name, encodeURIComponent(value)]);
  return {
    ContentType: contentType,
    ...(filename === undefined ? {} : { ContentDisposition: contentDisposition(filename, { type: 'inline' }) }),
    Metadata: {
      ...Object.fromEntries(escaped),
      ...(checksum === undefined ? {} : { [SHA256_METADATA]: checksum.toLowerCase() }),
    },
    ...encryptionHeaders(config),
    // The cheaper classes bill a month at the least: nothing for bytes that stay a minute.
    ...(config.storageClass === undefined || isStaging(key)
      ? {}
      : { StorageClass: config.storageClass as StorageClass }),
    ...(Object.keys(config.tags).length === 0 ? {} : { Tagging: taggingOf(config.tags) }),
    ...(lock === undefined ? {} : { ObjectLockMode: lock.mode, ObjectLockRetainUntilDate: lockedUntil(lock) }),
  };
}

function taggingOf(tags: S3Config['tags']): string {
  const pairs = Object.entries(tags).map((pair) => pair.map(encodeURIComponent).join('='));
  return pairs.join('&');
}

/** S3 counts in seconds: the first that is not before the time asked for. */
export function lockedUntil({ until }: ObjectLock): Date {
  return new Date(Math.ceil(until / 1000) * 1000);
}

function encryptionHeaders({ sse, kmsKeyId }: S3Config): Partial<ObjectHeaders> {
  if (sse === undefined) return {};
  return { ServerSideEncryption: sse, ...(sse === 'aws:kms' && kmsKeyId !== undefined && { SSEKMSKeyId: kmsKeyId }) };
}
