import { createHash } from 'node:crypto';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { errorOf } from '#test/error-of.ts';
import { type StandInApi, startStandInApi } from '#test/stand-in-api.ts';
import { createClient } from './node.ts';

const SCENE = { project: 'demo', session: 's1', scene: 'c1' } as const;
const CLIP = { ...SCENE, assetType: 'video_chunk', filename: 'clip.mp4' } as const;

let api: StandInApi;
let dir: string;
const client = (key = api.key) => createClient({ apiUrl: api.url, key });

beforeAll(async () => {
  api = await startStandInApi();
  dir = await mkdtemp(join(tmpdir(), 'reelay-client-'));
});
afterAll(async () => {
  await api.close();
  await rm(dir, { recursive: true });
});

describe('uploadFile', () => {
  test('sends a path with its fields, type and exact name', async () => {
    const path = join(dir, 'clip.mp4');
    await writeFile(path, 'the film');
    const filename = 'scène "1"/clip.mp4';
    const seen: number[] = [];
    const accepted = await client().uploadFile({
      ...{ ...CLIP, filename, path, visibility: 'public' },
      onProgress: (bytes) => seen.push(bytes),
    });
    const file = api.received.at(-1);
    expect(accepted).toMatchObject({ batchId: file?.batchId, outcome: 'created' });
    expect(accepted.jobs[0]?.files[0]?.assetId).toBe(file?.assetId);
    expect(file).toMatchObject({ filename: 'scène %221%22/clip.mp4', contentType: 'video/mp4', size: 8 });
    expect(file?.fields).toEqual({
      ...SCENE,
      assetType: 'video_chunk',
      visibility: 'public',
    });
    expect(seen).toEqual([8]);
  });

  test('streams 256 MiB byte for byte, holding little of it and never far ahead of the server', async () => {
    const size = 256 * 2 ** 20;
    const bytesBefore = api.bytesRead();
    const heldBefore = heldBytes();
    const hash = createHash('sha256');
    let furthestAhead = 0;
    let mostHeld = 0;
    async function* stream() {
      for (let sent = 0; sent < size; sent += 2 ** 20) {
        const bytes = Buffer.alloc(2 ** 20);
        bytes.writeUInt32LE(sent);
        hash.update(bytes);
        furthestAhead = Math.max(furthestAhead, sent - (api.bytesRead() - bytesBefore));
        if (sent % (32 * 2 ** 20) === 0) mostHeld = Math.max(mostHeld, heldBytes() - heldBefore);
        yield bytes;
      }
    }
    await client().uploadFile({ ...CLIP, stream: stream(), size });
    expect(api.received.at(-1)).toMatchObject({ size, checksum: hash.digest('hex') });
    expect(furthestAhead).toBeLessThan(32 * 2 ** 20);
    expect(mostHeld).toBeLessThan(64 * 2 ** 20);
  });

  test('stops reading its source when it is aborted', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    let ended = false;
    async function* endless() {
      try {
        for (let sent = 0; ; sent += 65_536) {
          if (sent > 2 ** 20) abort.abort(reason);
          yield Buffer.alloc(65_536);
        }
      } finally {
        ended = true;
      }
    }
    const upload = client().uploadFile({ ...CLIP, stream: endless() }, { signal: abort.signal });
    await expect(upload).rejects.toBe(reason);
    await vi.waitUntil(() => ended);
  });

  test('sends a stream of unknown length, and bytes, and none', async () => {
    async function* stream() {
      yield Buffer.from('so ');
      yield Buffer.from('long');
    }
    await client().uploadFile({ ...CLIP, stream: stream() });
    expect(api.received.at(-1)).toMatchObject({ size: 7, checksum: sha256('so long') });
    const code = { ...SCENE, assetType: 'source_code', filename: 'scene.ts' } as const;
    await client().uploadFile({ ...code, bytes: Buffer.from('let a = 1;') });
    expect(api.received.at(-1)).toMatchObject({ contentType: 'text/plain', checksum: sha256('let a = 1;') });
    await client().uploadFile({ ...code, bytes: new Uint8Array(0) });
    expect(api.received.at(-1)).toMatchObject({ size: 0 });
  });

  test('says so when the path cannot be read, or the file changes on the way', async () => {
    const missing = await errorOf(client().uploadFile({ ...CLIP, path: join(dir, 'none.mp4') }));
    expect(missing).toMatchObject({ code: 'FILE_UNREADABLE', details: { path: join(dir, 'none.mp4') } });
    expect((await errorOf(client().uploadFile({ ...CLIP, path: dir }))).code).toBe('FILE_UNREADABLE');

    async function* stream() {
      yield Buffer.from('12345');
    }
    for (const size of [4, 6]) {
      expect(await errorOf(client().uploadFile({ ...CLIP, stream: stream(), size }))).toMatchObject({
        code: 'FILE_CHANGED',
        message: `clip.mp4 no longer has the ${size} bytes it had when its upload began.`,
      });
    }
  });

  test('sees an answer that comes before the body has gone', async () => {
    const path = join(dir, 'large.mp4');
    await writeFile(path, '');
    await truncate(path, 64 * 2 ** 20);
    const error = await errorOf(client('rk_wrong').uploadFile({ ...CLIP, path }));
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', status: 401, retryable: false, correlationId: 'c_1' });
    expect(error.nextAction).toContain('Authorization');
  });
});

/** Bytes of buffers that something still refers to. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().arrayBuffers;
}

function sha256(bytes: string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
