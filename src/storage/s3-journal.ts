import { z } from 'zod';
import { parseField } from './journal.ts';
import type { Digest } from './s3-digest.ts';

type Fields = Readonly<Record<string, string>>;

const uploadRecord = z.object({
  key: z.string(),
  uploadId: z.string(),
  partSize: z.int().positive(),
  /** ETag of the object that is copied; none for bytes that we send. */
  source: z.string().optional(),
});
const partRecord = z.object({ etag: z.string(), sha256: z.string(), md5: z.string().optional() });
const joinRecord = z.object({
  uploadId: z.string(),
  size: z.int().positive(),
  checksum: z.string(),
  parts: z.int().positive(),
});

/** A multipart upload: field `upload`. */
export type UploadRecord = z.infer<typeof uploadRecord>;

/** What a part was when it was sent: field `part:<number>`. */
export interface PartRecord extends Digest {
  readonly etag: string;
}

/** What an upload is of, once all of its parts are sent: field `join`, written before they are joined. */
export type JoinRecord = z.infer<typeof joinRecord>;

/** The upload at `key` that the journal tells of. What another version or a torn write left in a field is nothing. */
export function readUpload(fields: Fields, key: string): UploadRecord | undefined {
  const record = parseField(uploadRecord, fields.upload);
  return record?.key === key ? record : undefined;
}

export function uploadFields(record: UploadRecord): Fields {
  return { upload: JSON.stringify(record) };
}

export function readPart(fields: Fields, number: number): PartRecord | undefined {
  const record = parseField(partRecord, fields[`part:${number}`]);
  if (record === undefined) return undefined;
  const { etag, sha256, md5 } = record;
  return { etag, sha256: Buffer.from(sha256, 'hex'), md5: md5 === undefined ? undefined : Buffer.from(md5, 'hex') };
}

export function partFields(number: number, { etag, sha256, md5 }: PartRecord): Fields {
  const record: z.infer<typeof partRecord> = { etag, sha256: sha256.toString('hex'), md5: md5?.toString('hex') };
  return { [`part:${number}`]: JSON.stringify(record) };
}

/** What was to be joined from the parts of this upload, and their digests. */
export function readJoin(fields: Fields, uploadId: string): (JoinRecord & { digests: Digest[] }) | undefined {
  const record = parseField(joinRecord, fields.join);
  if (record?.uploadId !== uploadId) return undefined;
  const digests = Array.from({ length: record.parts }, (_, index) => readPart(fields, index + 1));
  return digests.every((digest) => digest !== undefined) ? { ...record, digests } : undefined;
}

export function joinFields(record: JoinRecord): Fields {
  return { join: JSON.stringify(record) };
}

/** Why what was joined does not stay: field `verdict`, written before it is touched. */
export function verdictFields(code: string): Fields {
  return { verdict: code };
}
