import { readFileSync } from 'node:fs';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import {
  DeleteBucketPolicyCommand,
  ListMultipartUploadsCommand,
  PutBucketPolicyCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { readConfig, type S3Config } from '#config';
import { createS3Store } from '#storage/s3.ts';
import type { S3Limits } from '#storage/s3-bucket.ts';
import type { Store } from '#storage/store.ts';
import { startRgw } from '#test/rgw.ts';
import { resolveBuckets } from './localhost.ts';

/** A bucket on a real S3: the one that `S3_ENDPOINT_URL` and `S3_BUCKET` name, else on an RGW started for it. */
export interface TestBucket {
  readonly config: S3Config;
  /** The same bucket over TLS, in the host name; nothing on a store that was named. */
  readonly overTls: Partial<S3Config>;
  /** What makes a child process use it over TLS, trusting the authority of its certificate. */
  readonly tlsEnv: Readonly<Record<string, string>>;
  /** A store on the bucket, or on it as seen through `changes`. Parts are of S3's least size, 5 MiB. */
  open(changes?: Partial<S3Config>, limits?: Partial<S3Limits>, clock?: () => number): Store;
  /** Keys with a multipart upload that is neither completed nor aborted. */
  openUploads(): Promise<string[]>;
  /** Runs `work` while a policy of the bucket denies `actions` to everybody. */
  without(actions: readonly string[], work: () => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

/** S3's least. */
export const PART = 5 * 1024 ** 2;

/** Credentials go into this process's environment, where the AWS SDK looks for them; it trusts the server's certificate. */
export async function openTestBucket(): Promise<TestBucket> {
  const own = process.env.S3_ENDPOINT_URL && process.env.S3_BUCKET ? undefined : await startRgw();
  Object.assign(process.env, own?.env);
  if (own) setDefaultCACertificates([...getCACertificates('default'), readFileSync(own.tls.caFile, 'utf8')]);
  const forget = resolveBuckets();
  const config = readConfig(process.env).store as S3Config;
  const stores: Store[] = [];
  const { bucket: Bucket } = config;
  const client = rawClient(config);
  return {
    config,
    overTls: own
      ? { endpoint: own.tls.endpoint.replace('127.0.0.1', 's3.localhost'), forcePathStyle: false }
      : { forcePathStyle: false },
    tlsEnv: own ? { ...own.env, S3_ENDPOINT_URL: own.tls.endpoint, NODE_EXTRA_CA_CERTS: own.tls.caFile } : namedEnv(),
    open(changes = {}, limits = {}, clock = Date.now) {
      const store = createS3Store({ ...config, ...changes }, { clock, limits: { partSize: PART, ...limits } });
      stores.push(store);
      return store;
    },
    async openUploads() {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
      return Uploads.map(({ Key = '' }) => Key);
    },
    async without(actions, work) {
      const Resource = [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`];
      const Statement = [{ Effect: 'Deny', Principal: { AWS: ['*'] }, Action: actions, Resource }];
      const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
      await client.send(new PutBucketPolicyCommand({ Bucket, Policy }));
      await work().finally(() => client.send(new DeleteBucketPolicyCommand({ Bucket })));
    },
    async close() {
      await Promise.all(stores.map((store) => store.close()));
      client.destroy();
      forget();
      await own?.stop();
    },
  };
}

/** A client for what only a test does to a bucket; whoever opened it destroys it. */
export function rawClient({ endpoint = '', region, forcePathStyle }: S3Config): S3Client {
  return new S3Client({ endpoint, region, forcePathStyle });
}

/** The store that was named to this process, for a child of it. */
function namedEnv(): Record<string, string> {
  const named = Object.entries(process.env).filter(([name]) => /^(S3|AWS)_/.test(name));
  return Object.fromEntries(named.map(([name, value = '']) => [name, value]));
}
