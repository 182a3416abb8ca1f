import type { AppError } from '#errors';
import type { AuditLog } from '#metadata/audit-log.ts';
import type { Metadata } from '#metadata/metadata.ts';
import { quarantineKey } from '#storage/keys.ts';
import type { Store } from '#storage/store.ts';

export interface QuarantinePorts {
  readonly store: Pick<Store, 'quarantine' | 'head' | 'deleteMany'>;
  readonly metadata: Pick<Metadata, 'putQuarantined'>;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly now: () => number;
}

/** A file whose bytes are in the store, and whose upload failed for good. */
interface FailedFile {
  readonly assetId: string;
  readonly s3Key: string;
  readonly project: string;
  readonly correlationId: string;
  readonly jobId: string;
  /** Which time it failed, for the audit. */
  readonly round: string | number;
}

/**
 * Takes the object of a failed file out of service, notes it, and tells the audit; that of a deleted asset is deleted.
 * Every step can run twice. Without an object nothing is noted.
 */
export async function quarantineFailed(ports: QuarantinePorts, file: FailedFile, error: AppError): Promise<void> {
  const { store, metadata, audit } = ports;
  const { assetId, s3Key, project, correlationId, jobId, round } = file;
  if (error.code === 'GONE') return store.deleteMany([s3Key]);
  const isKept = (await store.quarantine(s3Key)) || (await store.head(quarantineKey(s3Key))) !== undefined;
  if (!isKept) return;
  await metadata.putQuarantined([{ s3Key, assetId, reason: error.toFacts(), at: ports.now() }]);
  await audit.record({
    entryId: `quarantine-${assetId}-${round}`,
    actor: { kind: 'service', id: 'upload' },
    action: 'assets.quarantine',
    target: assetId,
    details: { s3Key, code: error.code, jobId },
    project,
    correlationId,
  });
}
