import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import type { EntityRef } from '#domain';
import { AppError } from '#errors';
import type { AssetCommit, Metadata, StatusUpdate } from '#metadata/metadata.ts';
import { createBatches } from '#queues/batches.ts';
import { assetIdOf, newBatchId } from '#queues/ids.ts';
import { openBatchesKey } from '#queues/open-batches.ts';
import type { FindingClass } from '#queues/reconcile-reports.ts';
import type { RedisConnection } from '#redis/connection.ts';
import { createDiskStore } from '#storage/disk.ts';
import { objectKey, quarantineKey } from '#storage/keys.ts';
import { bytesSource } from '#storage/source.ts';
import type { Source, Store } from '#storage/store.ts';
import { sha256 } from './sources.ts';

const DAYS_AGO = 3 * 86_400_000;

interface FaultPorts {
  readonly metadata: Metadata;
  readonly redis: RedisConnection;
  readonly prefix: string;
  /** Folder of the disk store. */
  readonly storeDir: string;
  /** Writes objects as files, without waiting for the disk: for very many of them. */
  readonly hasty?: boolean;
}

/** What fails in a deployment, made by hand and three days old; and assets that are in order. */
export interface Faults {
  /** The store, with a clock three days behind. */
  readonly old: Store;
  readonly at: number;
  /** An asset that is ready; its session is counted by `countAll`. */
  sound(count: number, entity?: EntityRef): Promise<AssetCommit[]>;
  /** A row that waits for a job which is not there. */
  pending(own?: Partial<StatusUpdate>, entity?: EntityRef): Promise<StatusUpdate>;
  /** Makes one of a class; gives the subject it is found by. */
  make(name: FindingClass): Promise<string>;
  /** Brings the totals of all sessions up to their assets, but for those that `drifted-totals` made. */
  countAll(): Promise<void>;
}

export function openFaults({ metadata, redis, prefix, storeDir, hasty = false }: FaultPorts): Faults {
  const at = Date.now() - DAYS_AGO;
  const old = createDiskStore({ dir: storeDir, urlSecret: Buffer.alloc(32, 1), clock: () => at });
  const batches = createBatches(redis, prefix);
  const drifted = new Set<string>();
  let made = 0;

  const bytesOf = (assetId: string) => Buffer.from(`print("${assetId}")`);
  function factsOf(entity: EntityRef): StatusUpdate['facts'] {
    const batchId = newBatchId();
    const assetId = assetIdOf(batchId, 0);
    made += 1;
    return {
      ...{ assetId, entity, assetType: 'source_code', filename: 'main.py', contentType: 'text/x-python', batchId },
      ...{ s3Key: objectKey(entity, 'source_code', assetId, 'main.py'), acceptedSeq: made, visibility: 'private' },
      ...{ metadata: {}, jobId: `${batchId}-0`, correlationId: 'c', createdBy: 'k', createdAt: at },
    };
  }
  function commitOf(entity: EntityRef): AssetCommit {
    const facts = factsOf(entity);
    const bytes = bytesOf(facts.assetId);
    const { s3Key } = facts;
    const stored = { s3Key, size: bytes.length, checksum: sha256(bytes), verifiedBy: 'readback' } as const;
    return { facts, stored, uploadedAt: at, attempt: 1, maxAttempts: 3 };
  }
  async function put(key: string, bytes: Buffer): Promise<void> {
    const contentType = 'text/x-python';
    if (!hasty) return void (await old.put(key, bytesSource(bytes), { contentType }));
    const path = join(storeDir, 'objects', key);
    await mkdir(dirname(path), { recursive: true });
    const meta = { size: bytes.length, checksum: sha256(bytes), contentType, lastModified: at };
    await Promise.all([writeFile(path, bytes), writeFile(`${path}#meta`, JSON.stringify(meta))]);
  }
  const putBytesOf = ({ facts }: AssetCommit) => put(facts.s3Key, bytesOf(facts.assetId));
  async function commit(items: readonly AssetCommit[]): Promise<void> {
    for (const result of await metadata.commit(items)) if (!result.ok) throw new Error(result.error.message);
  }
  const scene = (): EntityRef => ({ project: 'faults', session: `s${made % 20}`, scene: `c${made}` });

  async function pending(own: Partial<StatusUpdate> = {}, entity = scene()): Promise<StatusUpdate> {
    const facts = factsOf(entity);
    const { size } = commitOf(entity).stored;
    const start = { fence: [0, 1, 1], status: 'pending', progress: 0, size, attempt: 1, maxAttempts: 3 } as const;
    const update: StatusUpdate = { facts, ...start, ...own };
    await metadata.applyStatuses([update]);
    return update;
  }

  const makers: Record<FindingClass, () => Promise<string>> = {
    async 'orphan-object'() {
      const { facts } = commitOf(scene());
      await put(facts.s3Key, Buffer.from('nobody knows me'));
      return facts.s3Key;
    },
    async 'missing-object'() {
      const item = commitOf(scene());
      await commit([item]);
      return item.facts.s3Key;
    },
    async 'size-mismatch'() {
      const item = commitOf(scene());
      await commit([item]);
      await put(item.facts.s3Key, Buffer.from('x'));
      return item.facts.s3Key;
    },
    async 'checksum-mismatch'() {
      const item = commitOf(scene());
      await commit([item]);
      await put(item.facts.s3Key, Buffer.alloc(item.stored.size, 'y'));
      return item.facts.s3Key;
    },
    'stuck-status': async () => (await pending()).facts.s3Key,
    async 'stuck-batch'() {
      const batchId = newBatchId();
      const facts = { owner: 'k', total: 1, size: 1, createdAt: at, firstSeq: 1, packs: 1 };
      await redis.zadd(openBatchesKey(prefix), at, batchId);
      await batches.open({ batchId, entity: { project: 'faults', session: 's' }, ...facts }, 'accepted');
      await batches.finish(batchId, [[assetIdOf(batchId, 0), 'ready']]);
      return batchId;
    },
    async 'stale-upload'() {
      const { facts } = commitOf(scene());
      await beginPut(old, facts.s3Key);
      return facts.s3Key;
    },
    async 'stale-staging'() {
      const key = `staging/${newBatchId()}/pack-0`;
      await put(key, Buffer.from('staged for nobody'));
      return key;
    },
    async 'drifted-totals'() {
      const entity = { project: 'faults', session: `drifted-${made}` };
      await sound(1, { ...entity, scene: 'c' });
      drifted.add(entity.session);
      return `${entity.project}/${entity.session}`;
    },
    async 'unnoted-quarantine'() {
      const { facts } = commitOf(scene());
      await put(quarantineKey(facts.s3Key), Buffer.from('out of service'));
      return facts.s3Key;
    },
    async 'lost-quarantine'() {
      const { facts } = commitOf(scene());
      const reason = new AppError('CHECKSUM_MISMATCH', 'Other bytes.').toFacts();
      await metadata.putQuarantined([{ s3Key: facts.s3Key, assetId: facts.assetId, reason, at }]);
      return facts.s3Key;
    },
  };

  async function sound(count: number, entity?: EntityRef): Promise<AssetCommit[]> {
    const items = Array.from({ length: count }, () => commitOf(entity ?? scene()));
    await Promise.all(items.map(putBytesOf));
    await commit(items);
    return items;
  }

  return {
    ...{ old, at, sound, pending },
    make: (name) => makers[name](),
    async countAll() {
      for (let after: string | undefined; ; ) {
        const { sessions, next } = await metadata.scanSessions({ after, limit: 200 });
        for (const { project, session } of sessions)
          if (!drifted.has(session)) await metadata.countSession(project, session, { write: true });
        if (next === undefined) return;
        after = next;
      }
    },
  };
}

/** Begins a put of more than one part, and leaves it there. */
async function beginPut(store: Store, key: string): Promise<void> {
  const crash = new AbortController();
  const journal = {
    read: async () => ({}),
    // What was begun is noted before any byte of it.
    write: async () => crash.abort(new Error('crashed')),
  };
  const chunk = Buffer.alloc(1024 ** 2);
  const source: Source = {
    size: 9 * chunk.length,
    open: async () => Readable.from(Array.from({ length: 9 }, () => chunk)),
  };
  await store.put(key, source, { contentType: 'video/mp4', journal, signal: crash.signal }).catch(() => undefined);
}
