import { AppError, type ErrorFacts } from '#errors';
import type { AuditLog } from '#metadata/audit-log.ts';
import type { Metadata } from '#metadata/metadata.ts';
import type { Store } from '#storage/store.ts';

export interface WithdrawPorts {
  readonly store: Pick<Store, 'quarantine'>;
  readonly metadata: Pick<Metadata, 'putQuarantined' | 'withdraw'>;
  readonly audit: Pick<AuditLog, 'record'>;
  /** Makes every process forget the URLs of assets; `QUEUE_UNAVAILABLE` when not all could be told. */
  readonly urlCache: { drop(assetIds: readonly string[], options: { readonly deleted: boolean }): Promise<void> };
  readonly now: () => number;
}

/** An asset that is `ready`, while the store has no object for it, or another one. */
export interface Unfit {
  readonly assetId: string;
  readonly project: string;
  readonly s3Key: string;
  /** Of the row. */
  readonly checksum: string;
  /** What is wrong. `OBJECT_MISSING`: there is nothing to quarantine. */
  readonly error: ErrorFacts;
}

/** Who found it, for the audit. */
export interface Finder {
  /** As `scrub`. */
  readonly name: string;
  readonly jobId: string;
}

/**
 * Takes assets out of service whose objects are not what their rows say; at most 200. Gives the ids of those whose rows
 * said so still. Every step can be repeated, and a crash between two leaves what is found again: an object goes before its
 * row, since a row without its object is what is looked for, and an object without one would be anybody's.
 */
export async function withdraw(ports: WithdrawPorts, unfit: readonly Unfit[], finder: Finder): Promise<string[]> {
  const { store, metadata, audit, urlCache, now } = ports;
  if (unfit.length === 0) return [];
  const there = unfit.filter(({ error }) => error.code !== 'OBJECT_MISSING');
  const at = now();
  if (there.length > 0) {
    await metadata.putQuarantined(there.map(({ s3Key, assetId, error }) => ({ s3Key, assetId, reason: error, at })));
  }
  await Promise.all(unfit.map((one) => audit.record(deedOf(one, finder))));
  for (const { s3Key } of there) await store.quarantine(s3Key);
  const withdrawn = await metadata.withdraw(
    unfit.map(({ assetId, checksum, error }) => ({ assetId, checksum, error })),
  );
  // All of them: a repeat after a crash finds the rows changed, and nobody may go on handing out their URLs.
  await urlCache.drop(
    unfit.map(({ assetId }) => assetId),
    { deleted: false },
  );
  return withdrawn;
}

/** Why an asset is unfit, when the store has nothing at its key. */
export function missingObject(s3Key: string): ErrorFacts {
  return new AppError('OBJECT_MISSING', `The store has nothing at ${s3Key}.`, { details: { s3Key } }).toFacts();
}

/** What to do about bytes that changed in the store: whoever sent them announced nothing wrong. */
export const UPLOAD_AGAIN = 'Upload the file again.';

/** The same, when the object has other bytes, or not as many. */
export function otherObject(s3Key: string, expected: Bytes, found: Bytes): ErrorFacts {
  const code = found.size === expected.size ? 'CHECKSUM_MISMATCH' : 'SIZE_MISMATCH';
  const message = `The object at ${s3Key} is not the one that was verified when it was stored.`;
  return new AppError(code, message, { nextAction: UPLOAD_AGAIN, details: { s3Key, expected, found } }).toFacts();
}

interface Bytes {
  readonly size?: number | undefined;
  readonly checksum?: string | undefined;
}

function deedOf({ assetId, project, s3Key, error }: Unfit, { name, jobId }: Finder) {
  return {
    entryId: `withdraw-${jobId}-${assetId}`,
    actor: { kind: 'service' as const, id: name },
    action: 'assets.withdraw',
    target: assetId,
    project,
    details: { code: error.code, s3Key },
    correlationId: jobId,
  };
}
