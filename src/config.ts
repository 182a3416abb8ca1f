import { resolve } from 'node:path';
import { z } from 'zod';
import { inWords, wholeNumber } from '#mistakes';

const port = (fallback: number) => wholeNumber(0, 65_535).default(fallback);
const flag = (fallback: boolean) => z.stringbool({ truthy: ['true', '1'], falsy: ['false', '0'] }).default(fallback);
const list = z.string().transform((text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean),
);
const url = (...protocols: string[]) =>
  z.url({ protocol: new RegExp(`^(${protocols.join('|')})$`), error: `Must be a URL of ${protocols.join(' or ')}.` });

/** Every environment variable, once: its form, default and sentence. README's table is made from it. */
export const VARIABLES = z.object({
  PORT: port(3000).describe('Port of the API.'),
  METRICS_PORT: port(9464).describe("Port of the worker's metrics."),
  REELAY_DATA: z.string().min(1).default('.reelay').describe('Folder of everything the embedded stack keeps.'),
  REELAY_HOST: z.string().min(1).default('127.0.0.1').describe('Address the API and metrics listen on.'),
  REELAY_PUBLIC_URL: url('http', 'https')
    .optional()
    .describe("The API's address as others reach it, put before URLs it serves itself. Default: the local one."),
  REELAY_SIGNING_KEY: z
    .string()
    .min(1)
    .optional()
    .describe(
      'ES256 private key (PKCS #8 PEM, or the path of such a file) that signs service tokens and disk URLs. Embedded: made under `REELAY_DATA`.',
    ),
  REELAY_ADMIN_USER: z.string().min(1).default('admin').describe("Name of the admin's login to `/admin/queues`."),
  REELAY_ADMIN_PASSWORD: z
    .string()
    .min(8)
    .optional()
    .describe('Password of that login; without it the page is closed. Embedded: made, see `credentials.json`.'),
  UPLOAD_ROOTS: list
    .default([])
    .describe('Comma-separated folders that `path` origins may read. Unset: `path` is refused.'),
  LANES: list
    .pipe(z.array(z.enum(['small', 'large', 'maintenance'])))
    .default(['small', 'large', 'maintenance'])
    .describe('Comma-separated lanes a worker serves.'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('Least level that is logged.'),
  REDIS_PORT: port(6390).describe('Port of the embedded Redis.'),
  REDIS_URL: url('redis', 'rediss').optional().describe('A Redis of your own; then none is embedded.'),
  REDIS_PREFIX: z
    .string()
    .regex(/^[\w-]+$/, 'Must have only letters, digits, _ and -.')
    .default('reelay')
    .describe('First part of every Redis key.'),
  CONVEX_PORT: port(3210).describe('Port of the embedded Convex.'),
  CONVEX_URL: url('http', 'https').optional().describe('A Convex deployment of your own; then none is embedded.'),
  S3_BUCKET: z.string().min(3).optional().describe('Bucket for the objects; without it they are kept on disk.'),
  S3_ENDPOINT_URL: url('http', 'https').optional().describe('Endpoint of an S3-compatible store; without it AWS.'),
  S3_FORCE_PATH_STYLE: flag(false).describe('`true` puts the bucket in the path instead of the host name.'),
  S3_PUBLIC_BASE_URL: url('http', 'https')
    .optional()
    .describe('Base of unsigned URLs for public assets, a CDN for example.'),
  S3_PRESIGN_EXPIRES: wholeNumber(60, 604_800).default(3600).describe('Seconds a signed URL lives.'),
  S3_SSE: z
    .enum(['AES256', 'aws:kms'])
    .optional()
    .describe('Encryption asked of the store and confirmed in its answer.'),
  S3_KMS_KEY_ID: z.string().min(1).optional().describe('Key for `S3_SSE=aws:kms`.'),
  AWS_REGION: z.string().min(1).default('us-east-1').describe('Region of the bucket.'),
});

type Variables = z.infer<typeof VARIABLES>;

/** The frozen settings of one process. Times in seconds or as named; paths absolute. */
export interface Config {
  readonly host: string;
  readonly port: number;
  readonly metricsPort: number;
  readonly dataDir: string;
  readonly publicUrl: string;
  readonly signingKey: string;
  readonly admin: { readonly user: string; readonly password: string | undefined };
  readonly uploadRoots: readonly string[];
  readonly lanes: readonly ('small' | 'large' | 'maintenance')[];
  readonly logLevel: Variables['LOG_LEVEL'];
  readonly redis: { readonly url: string; readonly prefix: string };
  readonly convexUrl: string;
  readonly store: StoreConfig;
  readonly urls: { readonly publicBaseUrl: string | undefined; readonly expiresSeconds: number };
}

export type StoreConfig =
  | { readonly kind: 'disk'; readonly dir: string }
  | {
      readonly kind: 's3';
      readonly bucket: string;
      readonly endpoint: string | undefined;
      readonly forcePathStyle: boolean;
      readonly region: string;
      readonly sse: Variables['S3_SSE'];
      readonly kmsKeyId: string | undefined;
    };

/** What is wrong with the environment, every mistake at once. Processes print it and exit with 78 (EX_CONFIG). */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Reads the environment. An empty variable counts as unset. Throws `ConfigError` listing every mistake. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = VARIABLES.safeParse(given, { error: inWords });
  if (!parsed.success) {
    const mistakes = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`);
    throw new ConfigError(`The environment is not usable:\n${mistakes.join('\n')}`);
  }
  const v = parsed.data;
  if (v.S3_SSE === 'aws:kms' && !v.S3_KMS_KEY_ID) {
    throw new ConfigError('The environment is not usable:\n  S3_KMS_KEY_ID: Is missing; S3_SSE=aws:kms needs it.');
  }
  const dataDir = resolve(v.REELAY_DATA);
  return Object.freeze({
    host: v.REELAY_HOST,
    port: v.PORT,
    metricsPort: v.METRICS_PORT,
    dataDir,
    publicUrl: (v.REELAY_PUBLIC_URL ?? `http://127.0.0.1:${v.PORT}`).replace(/\/+$/, ''),
    signingKey: v.REELAY_SIGNING_KEY ?? resolve(dataDir, 'signing-key.pem'),
    admin: { user: v.REELAY_ADMIN_USER, password: v.REELAY_ADMIN_PASSWORD },
    uploadRoots: v.UPLOAD_ROOTS.map((root) => resolve(root)),
    lanes: v.LANES,
    logLevel: v.LOG_LEVEL,
    redis: { url: v.REDIS_URL ?? `redis://127.0.0.1:${v.REDIS_PORT}`, prefix: v.REDIS_PREFIX },
    convexUrl: v.CONVEX_URL ?? `http://127.0.0.1:${v.CONVEX_PORT}`,
    store: storeConfig(v, dataDir),
    urls: { publicBaseUrl: v.S3_PUBLIC_BASE_URL?.replace(/\/+$/, ''), expiresSeconds: v.S3_PRESIGN_EXPIRES },
  });
}

function storeConfig(v: Variables, dataDir: string): StoreConfig {
  if (!v.S3_BUCKET) return { kind: 'disk', dir: resolve(dataDir, 'objects') };
  return {
    kind: 's3',
    bucket: v.S3_BUCKET,
    endpoint: v.S3_ENDPOINT_URL,
    forcePathStyle: v.S3_FORCE_PATH_STYLE,
    region: v.AWS_REGION,
    sse: v.S3_SSE,
    kmsKeyId: v.S3_KMS_KEY_ID,
  };
}
