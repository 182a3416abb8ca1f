import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { AppError } from '#errors';
import { type DirectPart, type DirectUpload, type DirectUploads, directPartSize } from './direct-uploads.ts';
import { signDiskUrl } from './disk-url.ts';
import { bytesSource } from './source.ts';
import type { ObjectInfo, Source, Store } from './store.ts';

interface DiskDirectOptions {
  readonly store: Pick<Store, 'put' | 'get' | 'head' | 'list' | 'deleteMany'>;
  readonly urlSecret: Buffer;
  readonly clock: () => number;
}

const TYPE = { contentType: 'application/octet-stream' };
/** Parts of an upload, and the object that says that it has begun: listed in one walk. */
const MOST = 10_001;
/** An object that says that the upload has begun; it sorts before the parts. */
const MARK = '0';

/** Direct uploads on disk: the API takes the PUTs, and parts are objects of their own beside the key until they are joined. */
export function createDiskDirect({ store, urlSecret, clock }: DiskDirectOptions): DirectUploads {
  function sign(key: string, size: number, expiresInSeconds: number) {
    const expiresAt = (Math.floor(clock() / 1000) + expiresInSeconds) * 1000;
    const url = signDiskUrl(urlSecret, { key, expiresAt, download: false, put: size });
    return Promise.resolve({ url, headers: {}, expiresAt });
  }

  async function objects(upload: DirectUpload): Promise<ObjectInfo[]> {
    const found: ObjectInfo[] = [];
    let after: string | undefined;
    do {
      const page = await store.list(folderOf(upload), { after, limit: MOST });
      found.push(...page.objects);
      after = page.next;
    } while (after !== undefined);
    return found;
  }

  async function parts(upload: DirectUpload): Promise<(DirectPart & { key: string })[]> {
    const mark = folderOf(upload) + MARK;
    const found = await objects(upload);
    if (!found.some(({ key }) => key === mark)) {
      throw new AppError('NOT_FOUND', 'There is no such upload.', { details: { uploadId: upload.uploadId } });
    }
    return found
      .filter(({ key }) => key !== mark)
      .map(({ key, size }) => ({ key, size, number: Number(key.slice(key.lastIndexOf('/') + 1)) }));
  }

  const abort = async (upload: DirectUpload) => store.deleteMany((await objects(upload)).map(({ key }) => key));

  return {
    partSize: directPartSize,
    signPut: sign,
    async begin(key) {
      const upload = { key, uploadId: randomUUID() };
      await store.put(folderOf(upload) + MARK, bytesSource(Buffer.from(upload.uploadId)), TYPE);
      return upload.uploadId;
    },
    signPart: (upload, { number, size }, expiresInSeconds) =>
      sign(folderOf(upload) + String(number).padStart(5, '0'), size, expiresInSeconds),
    parts: async (upload) => (await parts(upload)).map(({ number, size }) => ({ number, size })),
    async complete(upload) {
      await store.put(upload.key, joined(store, await parts(upload)), TYPE);
      await abort(upload);
    },
    abort,
  };
}

const folderOf = ({ key, uploadId }: DirectUpload): string => `${key}.parts/${uploadId}/`;

/** The parts one after the other; read from the first only, as a put of one process does. */
function joined(store: Pick<Store, 'get'>, parts: readonly { key: string; size: number }[]): Source {
  async function* read(signal: AbortSignal | undefined) {
    for (const { key } of parts) yield* (await store.get(key, signal ? { signal } : {})).body;
  }
  return {
    size: parts.reduce((sum, { size }) => sum + size, 0),
    open: async (_offset, signal) => Readable.from(read(signal), { objectMode: false }),
  };
}
