import { channel } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import type { S3Config } from '#config';
import type { StoreUnderTest } from '#test/contracts/store.ts';
import { PART, rawClient, type TestBucket } from './bucket.ts';

/** The bucket, as seen through `changes`, as the suite of the contract wants it; whoever opened it closes it. */
export function underTest(bucket: TestBucket, changes: Partial<S3Config> = {}): StoreUnderTest {
  const client = rawClient(bucket.config);
  const { bucket: Bucket } = bucket.config;
  const counter = countSent();
  return {
    store: bucket.open(changes),
    behind: bucket.open(changes, {}, () => Date.now() - 120_000),
    partSize: PART,
    leftovers: async () => (await bucket.openUploads()).length,
    async fetch(url, range) {
      const answer = await fetch(url, range === undefined ? {} : { headers: { range } });
      const bytes = Buffer.from(await answer.arrayBuffer());
      return { status: answer.status, bytes: answer.ok ? bytes : Buffer.alloc(0) };
    },
    bytesSent: async () => counter.bytes(),
    async spoilPart({ key: Key, uploadId: UploadId }, PartNumber, Body) {
      await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
    },
    async spoilObject(Key, Body) {
      await client.send(new PutObjectCommand({ Bucket, Key, Body, ContentType: 'video/mp4' }));
    },
    async close() {
      client.destroy();
      counter.stop();
    },
  };
}

/** Counts what this process writes to the connections that it opens from now on. */
function countSent(): { bytes(): number; stop(): void } {
  const sockets = new Set<Socket>();
  let closed = 0;
  const opened = channel('net.client.socket');
  const watch = (message: unknown) => {
    const { socket } = message as { socket: Socket };
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      closed += socket.bytesWritten;
    });
  };
  opened.subscribe(watch);
  return {
    bytes: () => [...sockets].reduce((sum, { bytesWritten }) => sum + bytesWritten, closed),
    stop: () => void opened.unsubscribe(watch),
  };
}
