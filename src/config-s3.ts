import { z } from 'zod';
import { wholeNumber } from '#mistakes';
import { flag, list, url } from './config-forms.ts';

/** What S3 allows of an object's tags: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html */
const MAX_TAGS = 10;
const TAG = /^[\p{L}\p{N}\p{Z}_.:/+@-]{1,128}=[\p{L}\p{N}\p{Z}_.:/+@-]{0,256}$/u;
/** Objects there must be restored, which takes hours, before they can be read. */
const ASLEEP = ['GLACIER', 'DEEP_ARCHIVE'];

/** The variables of the store in a bucket. */
export const S3_VARIABLES = {
  S3_BUCKET: z.string().min(3).optional().describe('Bucket for the objects; without it they are kept on disk.'),
  S3_ENDPOINT_URL: url('http', 'https')
    .optional()
    .describe(
      'Endpoint of an S3-compatible store; without it AWS. A private authority of its certificate is named in `NODE_EXTRA_CA_CERTS`.',
    ),
  S3_FORCE_PATH_STYLE: flag(false).describe('`true` puts the bucket in the path instead of the host name.'),
  S3_PUBLIC_BASE_URL: url('http', 'https')
    .optional()
    .describe('Base of unsigned URLs for public assets, a CDN for example.'),
  S3_PRESIGN_EXPIRES: wholeNumber(60, 604_800).default(3600).describe('Seconds a signed URL lives.'),
  S3_CHECKSUM_MODE: z
    .enum(['WHEN_REQUIRED', 'WHEN_SUPPORTED'])
    .default('WHEN_REQUIRED')
    .describe("Whether requests carry the AWS SDK's own CRCs; older stores take `WHEN_REQUIRED` only."),
  S3_SSE: z
    .enum(['AES256', 'aws:kms'])
    .optional()
    .describe('Encryption asked of the store and confirmed in its answer.'),
  S3_KMS_KEY_ID: z.string().min(1).optional().describe('Key for `S3_SSE=aws:kms`.'),
  S3_STORAGE_CLASS: z
    .string()
    .regex(/^[\w-]+$/, 'Must be a storage class, such as STANDARD_IA.')
    .refine((name) => !ASLEEP.includes(name), 'Must be a class whose objects can be read at once.')
    .optional()
    .describe("Storage class of assets; staged bytes keep the bucket's own."),
  S3_TAGS: list
    .pipe(
      z
        .array(z.string().regex(TAG, 'Must be tags like team=films,stage=prod.'))
        .max(MAX_TAGS, `Must have at most ${MAX_TAGS} tags.`)
        .refine(
          (tags) => new Set(tags.map((tag) => tag.split('=')[0])).size === tags.length,
          'Must name each tag once.',
        ),
    )
    .default([])
    .describe('Comma-separated tags `name=value` of every object.'),
  S3_ROLE_ARN: z
    .string()
    .regex(/^arn:[\w-]+:iam::.*:role\/.+$/, 'Must be the ARN of a role.')
    .optional()
    .describe('Role that is assumed for the store, by the credentials the AWS SDK finds.'),
  S3_ROLE_EXTERNAL_ID: z.string().min(2).optional().describe('External id that the role asks for.'),
  AWS_REGION: z.string().min(1).default('us-east-1').describe('Region of the bucket.'),
};

type S3Variables = z.infer<z.ZodObject<typeof S3_VARIABLES>>;

/** The settings of a store in a bucket. */
export interface S3Config {
  readonly kind: 's3';
  readonly bucket: string;
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
  readonly region: string;
  readonly checksumMode: S3Variables['S3_CHECKSUM_MODE'];
  readonly sse: S3Variables['S3_SSE'];
  readonly kmsKeyId: string | undefined;
  readonly storageClass: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  readonly role: { readonly arn: string; readonly externalId: string | undefined } | undefined;
}

/** The bucket's settings, undefined when no bucket is named. */
export function s3Config(v: S3Variables): S3Config | undefined {
  if (!v.S3_BUCKET) return undefined;
  return {
    kind: 's3',
    bucket: v.S3_BUCKET,
    endpoint: v.S3_ENDPOINT_URL,
    forcePathStyle: v.S3_FORCE_PATH_STYLE,
    region: v.AWS_REGION,
    checksumMode: v.S3_CHECKSUM_MODE,
    sse: v.S3_SSE,
    kmsKeyId: v.S3_KMS_KEY_ID,
    storageClass: v.S3_STORAGE_CLASS,
    tags: Object.fromEntries(v.S3_TAGS.map((tag) => [tag.slice(0, tag.indexOf('=')), tag.slice(tag.indexOf('=') + 1)])),
    role: v.S3_ROLE_ARN === undefined ? undefined : { arn: v.S3_ROLE_ARN, externalId: v.S3_ROLE_EXTERNAL_ID },
  };
}

/** What is wrong between these variables as they were given, whatever else is wrong with them; empty when nothing is. */
export function s3Mistakes(v: Readonly<Partial<Record<string, string>>>): string[] {
  const mistakes: string[] = [];
  if (v.S3_SSE === 'aws:kms' && !v.S3_KMS_KEY_ID) mistakes.push('S3_KMS_KEY_ID: Is missing; S3_SSE=aws:kms needs it.');
  if (v.S3_ROLE_EXTERNAL_ID && !v.S3_ROLE_ARN) mistakes.push('S3_ROLE_ARN: Is missing; S3_ROLE_EXTERNAL_ID needs it.');
  return mistakes;
}
