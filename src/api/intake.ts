import type { Response } from 'express';
import pLimit from 'p-limit';
import type { Accepted } from '#answers';
import type { AssetFacts, EntityRef } from '#domain';
import type { Logger } from '#log';
import type { StatusUpdate } from '#metadata/metadata.ts';
import { rowOf } from '#metadata/status-row.ts';
import { JOBS, type PackFile } from '#queues/catalog.ts';
import { packFiles } from '#queues/packing.ts';
import type { AcceptedBatch, PlannedPack } from '#queues/producer.ts';
import { stagingKey } from '#storage/keys.ts';
import { bytesSource } from '#storage/source.ts';
import { callerOf } from './auth.ts';
import { sha256 } from './checksum.ts';
import { correlationIdOf } from './correlation.ts';
import type { ApiPorts } from './ports.ts';

/** Who sent a request, when, and where its assets belong. */
export interface Intake {
  readonly batchId: string;
  /** Keys of what is staged for it, added to before anything is written there. */
  readonly staged: string[];
  readonly entity: EntityRef;
  readonly correlationId: string;
  readonly createdBy: string;
  readonly createdAt: number;
}

/** A file as planned: its bytes are in hand, or a worker knows where to find them. */
export type PlannedFile = Omit<PackFile, 'acceptedSeq' | 'origin'> &
  ({ readonly bytes: Buffer } | { readonly origin: PackFile['origin'] });

type Ports = Pick<ApiPorts, 'config' | 'store' | 'producer' | 'outbox' | 'lastKnown' | 'metadata' | 'metrics'>;

/** The facts of the request that `res` answers. */
export function intakeOf(
  { clock }: Pick<ApiPorts, 'clock'>,
  res: Response,
  request: Pick<Intake, 'batchId' | 'entity' | 'staged'>,
): Intake {
  return {
    ...request,
    correlationId: correlationIdOf(res),
    createdBy: callerOf(res).id,
    createdAt: clock(),
  };
}

const STAGING_AT_ONCE = 8;

/** Takes a batch in, if there is room: stages the bytes in hand, one object a pack, has the packs accepted, and tells the outbox. */
export async function takeIn(
  ports: Ports,
  intake: Intake,
  files: readonly PlannedFile[],
  log: Logger,
): Promise<Accepted> {
  const { store, producer } = ports;
  await producer.requireRoom(files.reduce((sum, { size = 0 }) => sum + size, 0));
  const limit = pLimit(STAGING_AT_ONCE);
  const staging = packFiles(files).map(({ lane, files }, index) => {
    const key = stagingKey(intake.batchId, `pack-${index}`);
    intake.staged.push(key);
    return limit(async () => ({ lane, files: await stage(store, key, files) }));
  });
  // None may still be at it when a failure is answered: what was staged is deleted then.
  await Promise.allSettled(staging);
  const { staged: _staged, ...request } = intake;
  const accepted = await producer.accept({
    ...request,
    commit: ports.config.commit,
    packs: await Promise.all(staging),
  });
  for (const { lane } of accepted.jobs) ports.metrics.packs.inc({ lane });
  announceBatch(ports, intake, files.length, log);
  await announceFiles(ports, intake, accepted, log);
  return toAnswer(accepted);
}

/** Puts the bytes in hand, if there are any, into one object and gives each file its slice of it. */
async function stage(store: Ports['store'], key: string, files: readonly PlannedFile[]): Promise<PlannedPack['files']> {
  const parts: Buffer[] = [];
  let offset = 0;
  const planned = files.map((file) => {
    if (!('bytes' in file)) return file;
    const { bytes, ...facts } = file;
    const slice = { offset, length: bytes.length };
    parts.push(bytes);
    offset += bytes.length;
    return { ...facts, origin: { kind: 'staged' as const, key, slice } };
  });
  if (parts.length > 0) {
    const bytes = Buffer.concat(parts);
    await store.put(key, bytesSource(bytes), { contentType: 'application/octet-stream', checksum: sha256(bytes) });
  }
  return planned;
}

/** Pending rows for people to watch. The batch is accepted already, so a failure here is only logged. */
async function announceFiles(ports: Ports, intake: Intake, accepted: AcceptedBatch, log: Logger): Promise<void> {
  const { staged: _staged, ...known } = intake;
  const updates = accepted.jobs.flatMap(({ jobId, files }) =>
    files.map((file): StatusUpdate => {
      const { origin: _origin, size, checksum: _checksum, lock: _lock, typeGuessed: _guessed, ...facts } = file;
      const asset: AssetFacts = { ...facts, ...known, jobId };
      const start = { fence: [0, 0, 0], status: 'pending', progress: 0, attempt: 0 } as const;
      return { facts: asset, ...start, size, maxAttempts: JOBS.upload.attempts };
    }),
  );
  ports.lastKnown.note(updates.map(rowOf));
  await ports.outbox.put(updates).catch((err: unknown) => log.warn({ err }, 'Pending statuses were not written'));
}

/** The batch's record for people to watch. Not waited for: when Convex is away, the job that ends the batch writes it. */
function announceBatch({ metadata }: Ports, intake: Intake, total: number, log: Logger): void {
  const { batchId, entity, createdBy: owner, createdAt } = intake;
  const record = {
    batchId,
    project: entity.project,
    owner,
    total,
    ready: 0,
    failed: 0,
    state: 'accepted',
    createdAt,
  } as const;
  metadata.applyBatches([record]).catch((err: unknown) => log.warn({ err, batchId }, 'The batch is not shown yet'));
}

function toAnswer({ batchId, jobs }: AcceptedBatch): Accepted {
  return {
    batchId,
    outcome: 'created',
    jobs: jobs.map(({ jobId, lane, size, files }) => ({
      jobId,
      lane,
      size,
      files: files.map(({ assetId, filename }) => ({ assetId, filename })),
    })),
  };
}
