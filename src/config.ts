import { resolve } from 'node:path';
import { z } from 'zod';
import { inWords, wholeNumber } from '#mistakes';
import { parseRedisUrl, printRedisAddress, redisAddress } from '#redis/address.ts';
import { flag, list, url } from './config-forms.ts';
import { S3_VARIABLES, type S3Config, s3Config, s3Mistakes } from './config-s3.ts';

const port = (fallback: number) => wholeNumber(0, 65_535).default(fallback);
const isCidr = (text: string) => z.union([z.cidrv4(), z.cidrv6()]).safeParse(text).success;
const cidr = z
  .string()
  .refine(
    (text) => isCidr(text) && Number(text.split('/')[1]) >= 8,
    'Must be a range like 10.1.0.0/16, /8 at the widest.',
  );
const redisUrlText = z.string().superRefine((text, check) => {
  const read = parseRedisUrl(text);
  for (const message of 'mistakes' in read ? read.mistakes : []) check.addIssue({ code: 'custom', message });
});

/** Every environment variable, once: its form, default and sentence. docs/configuration.md is made from it. */
export const VARIABLES = z.object({
  PORT: port(3000).describe('Port of the API.'),
  METRICS_PORT: port(9464).describe("Port of the worker's metrics."),
  REELAY_DATA: z.string().min(1).default('.reelay').describe('Folder of everything the embedded stack keeps.'),
  REELAY_ENV: z
    .string()
    .min(1)
    .default('development')
    .describe('Name of this environment, by which flags are limited; there is no flag yet.'),
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
  URL_ORIGIN_PORTS: list
    .transform((ports): unknown => ports)
    .pipe(z.array(wholeNumber(1, 65_535)).min(1))
    .default([80, 443, 8080, 8443])
    .describe('Comma-separated ports that `url` origins may name.'),
  URL_ORIGIN_ALLOW_CIDRS: list
    .pipe(z.array(cidr))
    .default([])
    .describe(
      'Comma-separated address ranges of a network of your own that `url` origins may lead to besides public addresses, each /8 or narrower. Metadata services of clouds stay refused.',
    ),
  URL_ORIGIN_MAX_BYTES: wholeNumber(1, Number.MAX_SAFE_INTEGER)
    .default(50 * 1024 ** 3)
    .describe('Most bytes of a file behind a `url` origin.'),
  URL_ORIGIN_MAX_SECONDS: wholeNumber(1, 604_800)
    .default(21_600)
    .describe('Seconds that reading one file may wait for its `url` origin in all.'),
  URL_ORIGIN_MIN_BYTES_PER_SECOND: wholeNumber(1, 1024 ** 3)
    .default(16_384)
    .describe('A `url` origin that sends less than this, over a minute of waiting, is left.'),
  UPLOAD_TIMEOUT_SECONDS: wholeNumber(1, 86_400)
    .default(300)
    .describe('Seconds one try of a file may take for its own sake, besides what its bytes need.'),
  UPLOAD_MIN_BYTES_PER_SECOND: wholeNumber(1, 1024 ** 3)
    .default(65_536)
    .describe('What its bytes need is reckoned at this rate; a slower try ends as `TIMED_OUT`.'),
  LANES: list
    .pipe(z.array(z.enum(['small', 'large', 'maintenance'])).min(1))
    .default(['small', 'large', 'maintenance'])
    .describe('Comma-separated lanes a worker serves.'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('Least level that is logged.'),
  REDIS_PORT: port(6390).describe('Port of the embedded Redis.'),
  REDIS_URL: redisUrlText
    .optional()
    .describe(
      'A Redis of your own, a Sentinel or a Cluster, in the forms of [docs/redis.md](docs/redis.md); then none is embedded.',
    ),
  REDIS_TLS_CA: z
    .string()
    .min(1)
    .optional()
    .describe("PEM (or the path of such a file) of the private CAs that Redis' certificate may come from."),
  REDIS_MIN_REPLICAS: wholeNumber(0, 10)
    .default(0)
    .describe('Replicas that must have an upload before it is accepted; a failover then loses none.'),
  REDIS_PREFIX: z
    .string()
    .regex(/^[\w-]+$/, 'Must have only letters, digits, _ and -.')
    .default('reelay')
    .describe('First part of every Redis key.'),
  CONVEX_PORT: port(3210).describe('Port of the embedded Convex.'),
  CONVEX_URL: url('http', 'https').optional().describe('A Convex deployment of your own; then none is embedded.'),
  BACKLOG_MAX_JOBS: wholeNumber(1, 1e9)
    .default(100_000)
    .describe('Jobs that may wait; with more, uploads are answered 503 until some are done.'),
  BACKLOG_MAX_BYTES: wholeNumber(1, Number.MAX_SAFE_INTEGER)
    .default(2 ** 43)
    .describe('Announced bytes that may wait; the same.'),
  DEAD_LETTER_MAX_DAYS: wholeNumber(1, 36_500)
    .default(90)
    .describe('Days that dead letters are kept; older ones are discarded, and the audit says which.'),
  DEAD_LETTER_MAX_BYTES: wholeNumber(1, Number.MAX_SAFE_INTEGER)
    .default(256 * 1024 ** 2)
    .describe("Bytes of Redis' memory that dead letters may keep; beyond it the oldest are discarded."),
  RECONCILE_EVERY_HOURS: wholeNumber(0, 8_760)
    .default(24)
    .describe('Hours from one comparison of store, Convex and Redis to the next; 0 for none but those asked for.'),
  RECONCILE_REPAIR: flag(false).describe(
    'Whether those that come by themselves also mend what they find. Not with a bucket that another deployment writes to: its objects would be taken out of service.',
  ),
  SCRUB_PERCENT_PER_DAY: wholeNumber(0, 100)
    .default(3)
    .describe('How many of a hundred stored files are read again in a day, to find damage; 0 for none.'),
  S3_UPLOAD_ON_WRITE: flag(true).describe(
    "`false` makes a batch's files ready all together, once each is stored or has failed.",
  ),
  ...S3_VARIABLES,
});

type Variables = z.infer<typeof VARIABLES>;

/** The frozen settings of one process. Times in seconds or as named; paths absolute. */
export interface Config {
  readonly environment: string;
  readonly host: string;
  readonly port: number;
  readonly metricsPort: number;
  readonly dataDir: string;
  readonly publicUrl: string;
  readonly signingKey: string;
  readonly admin: { readonly user: string; readonly password: string | undefined };
  readonly uploadRoots: readonly string[];
  readonly urlOrigins: UrlOrigins;
  readonly lanes: readonly ('small' | 'large' | 'maintenance')[];
  readonly logLevel: Variables['LOG_LEVEL'];
  readonly redis: {
    readonly url: string;
    /** The same for people: without user and password. */
    readonly shownUrl: string;
    readonly prefix: string;
    readonly tlsCa: string | undefined;
    readonly minReplicas: number;
  };
  readonly convexUrl: string;
  /** How long one try of a file may take. */
  readonly uploadTime: { readonly baseMs: number; readonly bytesPerSecond: number };
  /** When files become ready: each pack's as soon as they are stored, or a batch's all together at its end. */
  readonly commit: 'each' | 'batch';
  /** How much may wait before no more is taken in. */
  readonly backlog: { readonly jobs: number; readonly bytes: number };
  /** How long dead letters are kept, and how many bytes of them. */
  readonly deadLetters: { readonly ageMs: number; readonly bytes: number };
  readonly scrubPercentPerDay: number;
  /** Reconciliations that come by themselves: milliseconds from one to the next, 0 for none. */
  readonly reconcile: { readonly everyMs: number; readonly repair: boolean };
  readonly store: StoreConfig;
  readonly urls: { readonly publicBaseUrl: string | undefined; readonly expiresSeconds: number };
}

/** What `url` origins may be. */
export interface UrlOrigins {
  readonly ports: readonly number[];
  /** Address ranges allowed besides the public ones. */
  readonly allowCidrs: readonly string[];
  readonly maxBytes: number;
  readonly maxSeconds: number;
  readonly minBytesPerSecond: number;
}

export type { S3Config };
export type StoreConfig = { readonly kind: 'disk'; readonly dir: string } | S3Config;

/** What is wrong with the environment, every mistake at once. Processes print it and exit with 78 (EX_CONFIG). */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Reads the environment. An empty variable counts as unset. Throws `ConfigError` listing every mistake. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = VARIABLES.safeParse(given, { error: inWords });
  const mistakes = [...(parsed.error?.issues.map(mistakeText) ?? []), ...s3Mistakes(given)];
  if (!parsed.success || mistakes.length > 0) throw configError(mistakes);
  const v = parsed.data;
  const dataDir = resolve(v.REELAY_DATA);
  const store: StoreConfig = s3Config(v) ?? { kind: 'disk', dir: resolve(dataDir, 'objects') };
  const redisUrl = v.REDIS_URL ?? `redis://127.0.0.1:${v.REDIS_PORT}`;
  return Object.freeze({
    environment: v.REELAY_ENV,
    host: v.REELAY_HOST,
    port: v.PORT,
    metricsPort: v.METRICS_PORT,
    dataDir,
    publicUrl: (v.REELAY_PUBLIC_URL ?? `http://127.0.0.1:${v.PORT}`).replace(/\/+$/, ''),
    signingKey: v.REELAY_SIGNING_KEY ?? resolve(dataDir, 'signing-key.pem'),
    admin: { user: v.REELAY_ADMIN_USER, password: v.REELAY_ADMIN_PASSWORD },
    uploadRoots: v.UPLOAD_ROOTS.map((root) => resolve(root)),
    urlOrigins: Object.freeze({
      ports: v.URL_ORIGIN_PORTS,
      allowCidrs: v.URL_ORIGIN_ALLOW_CIDRS,
      maxBytes: v.URL_ORIGIN_MAX_BYTES,
      maxSeconds: v.URL_ORIGIN_MAX_SECONDS,
      minBytesPerSecond: v.URL_ORIGIN_MIN_BYTES_PER_SECOND,
    }),
    lanes: v.LANES,
    logLevel: v.LOG_LEVEL,
    redis: {
      url: redisUrl,
      shownUrl: printRedisAddress(redisAddress(redisUrl)),
      prefix: v.REDIS_PREFIX,
      tlsCa: v.REDIS_TLS_CA,
      minReplicas: v.REDIS_MIN_REPLICAS,
    },
    uploadTime: { baseMs: v.UPLOAD_TIMEOUT_SECONDS * 1_000, bytesPerSecond: v.UPLOAD_MIN_BYTES_PER_SECOND },
    commit: v.S3_UPLOAD_ON_WRITE ? 'each' : 'batch',
    backlog: { jobs: v.BACKLOG_MAX_JOBS, bytes: v.BACKLOG_MAX_BYTES },
    scrubPercentPerDay: v.SCRUB_PERCENT_PER_DAY,
    reconcile: { everyMs: v.RECONCILE_EVERY_HOURS * 3_600_000, repair: v.RECONCILE_REPAIR },
    deadLetters: { ageMs: v.DEAD_LETTER_MAX_DAYS * 86_400_000, bytes: v.DEAD_LETTER_MAX_BYTES },
    convexUrl: v.CONVEX_URL ?? `http://127.0.0.1:${v.CONVEX_PORT}`,
    store,
    urls: { publicBaseUrl: v.S3_PUBLIC_BASE_URL?.replace(/\/+$/, ''), expiresSeconds: v.S3_PRESIGN_EXPIRES },
  });
}

/** A list's entry is named by its place, the first being 1. */
function mistakeText({ path: [name, entry], message }: z.core.$ZodIssue): string {
  return `${String(name)}${typeof entry === 'number' ? `, entry ${entry + 1}` : ''}: ${message}`;
}

function configError(mistakes: readonly string[]): ConfigError {
  return new ConfigError(`The environment is not usable:\n${mistakes.map((mistake) => `  ${mistake}`).join('\n')}`);
}
