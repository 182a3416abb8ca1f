import { createHash } from 'node:crypto';
import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import type { S3Config } from '#config';
import { refusePages } from './s3-answers.ts';
import { storeCredentials } from './s3-credentials.ts';
import { createRegion, repeatMended } from './s3-mending.ts';

/** Clients that speak to a bucket, with one set of credentials and one region between them. */
export interface Connection {
  readonly client: S3Client;
  /** Signs URLs; its requests carry nothing that a browser would have to repeat. */
  readonly signer: S3Client;
  /** SHA-256 of bodies about to be sent, so that the SDK need not hash them again to sign them. */
  readonly digests: WeakMap<Buffer, Buffer>;
  /** Resolves to the region that requests are signed for; asks the store once, when nothing was heard from it yet. */
  region(): Promise<string>;
  close(): void;
}

const CONNECT_MS = 3_000;
const IDLE_MS = 60_000;
/** How long a signature waits for the store to name its region. */
const REGION_MS = 2_000;

/** Opens the clients; nothing is sent yet. */
export function connectS3(config: S3Config): Connection {
  const region = createRegion(config.region);
  const shared = {
    region: async () => region.name(),
    forcePathStyle: config.forcePathStyle,
    ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: IDLE_MS },
  };
  const client = new S3Client({
    ...shared,
    credentials: storeCredentials(config),
    requestChecksumCalculation: config.checksumMode,
    responseChecksumValidation: config.checksumMode,
  });
  const signer = new S3Client({
    ...shared,
    credentials: client.config.credentials,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const digests = new WeakMap<Buffer, Buffer>();
  signKnownDigests(client, digests);
  sendMd5(client, config);
  refusePages(client);
  repeatMended(client, region);

  let asked: Promise<void> | undefined;
  return {
    client,
    signer,
    digests,
    async region() {
      if (!region.isConfirmed()) {
        asked ??= askRegion(client, config.bucket);
        await asked;
      }
      return region.name();
    },
    close() {
      client.destroy();
      signer.destroy();
    },
  };
}

/** Any answer tells; none leaves the configured region. */
async function askRegion(client: S3Client, Bucket: string): Promise<void> {
  const abortSignal = AbortSignal.timeout(REGION_MS);
  await client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 1 }), { abortSignal }).catch(() => undefined);
}

function signKnownDigests(client: S3Client, digests: WeakMap<Buffer, Buffer>): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const body = 'Body' in args.input ? args.input.Body : undefined;
      const digest = Buffer.isBuffer(body) ? digests.get(body) : undefined;
      const { headers } = args.request as { headers: Record<string, string> };
      if (digest) headers['x-amz-content-sha256'] = digest.toString('hex');
      return next(args);
    },
    { step: 'build', name: 'signKnownDigest' },
  );
}

/**
 * S3 wants a checksum with a deletion of many, and with an object that it shall lock. Where ours or the SDK's is not
 * understood it is the MD5, which every store knows:
 * https://github.com/aws/aws-sdk-js-v3/blob/main/supplemental-docs/MD5_FALLBACK.md
 */
function sendMd5(client: S3Client, { checksumMode }: S3Config): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      (args) => {
        const { headers, body } = args.request as { headers: Record<string, string>; body: unknown };
        const names = Object.keys(headers).filter((name) => /^x-amz-(sdk-)?checksum-/i.test(name));
        const deletes = commandName === 'DeleteObjectsCommand' && checksumMode === 'WHEN_REQUIRED';
        const locks = commandName === 'PutObjectCommand' && 'ObjectLockMode' in args.input && names.length === 0;
        if (!(deletes || locks) || !(typeof body === 'string' || Buffer.isBuffer(body))) return next(args);
        for (const name of names) delete headers[name];
        headers['content-md5'] = createHash('md5').update(body).digest('base64');
        return next(args);
      },
    // After the SDK's own checksum, before the signature.
    { step: 'build', priority: 'low', name: 'sendMd5' },
  );
}
