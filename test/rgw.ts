import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { freePort } from './free-port.ts';

const run = promisify(execFile);
const SCRIPT = join(import.meta.dirname, '../scripts/rgw.sh');

/** A real S3 server of one test's own: Ceph RGW on loopback, with an empty bucket. */
export interface TestRgw {
  readonly endpoint: string;
  /** The same server over TLS, its certificate by a private authority. */
  readonly tls: { readonly endpoint: string; readonly caFile: string };
  readonly bucket: string;
  /** The environment that makes the service, and the AWS SDK, use it. */
  readonly env: Readonly<Record<string, string>>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/** `bytes` is the capacity. `memstore` keeps objects in memory, `bluestore` in a file under the temporary folder. */
export async function startRgw({
  objectStore = 'memstore',
  bytes = 6 * 1024 ** 3,
}: {
  objectStore?: 'memstore' | 'bluestore';
  bytes?: number;
} = {}): Promise<TestRgw> {
  const dir = await mkdtemp(join(tmpdir(), 'reelay-rgw-'));
  const [port, tlsPort, monPort] = [await freePort(), await freePort(), await freePort()];
  const settings = {
    RGW_DIR: dir,
    RGW_MON_PORT: String(monPort),
    RGW_TLS_PORT: String(tlsPort),
    RGW_BYTES: String(bytes),
  };
  const script = (...args: string[]) => run(SCRIPT, args, { env: { ...process.env, ...settings } });
  const stop = async () => {
    await script('stop');
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const { stdout } = await script('start', String(port), objectStore);
    const given = Object.fromEntries(Array.from(stdout.matchAll(/(\w+)=(\S+)/g), ([, name, value]) => [name, value]));
    const bucket = 'reelay-test';
    const env: Record<string, string> = { ...given, S3_BUCKET: bucket };
    const { S3_ENDPOINT_URL: endpoint = '', AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = env;
    const client = new S3Client({
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY },
    });
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    client.destroy();
    const tls = { endpoint: `https://127.0.0.1:${tlsPort}`, caFile: join(dir, 'ca.pem') };
    return { endpoint, tls, bucket, env, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
