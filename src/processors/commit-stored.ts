import type { AssetFacts, StoredFacts } from '#domain';
import { AppError, isErrorCode } from '#errors';
import type { AssetCommit, CommitResult } from '#metadata/metadata.ts';
import type { Store } from '#storage/store.ts';

export interface CommitPorts {
  readonly store: Pick<Store, 'signGet'>;
  readonly commit: (item: AssetCommit) => Promise<CommitResult>;
  /** Life of the URLs that rows are committed with, in seconds. */
  readonly urlSeconds: number;
  readonly now: () => number;
}

interface Stored {
  readonly facts: AssetFacts;
  readonly stored: StoredFacts;
  readonly attempt: number;
  readonly maxAttempts: number;
}

/** Makes a stored file `ready` in Convex. Throws what Convex said of this one file. */
export async function commitStored(ports: CommitPorts, { stored, ...file }: Stored): Promise<void> {
  const { url, expiresAt } = await ports.store.signGet(stored.s3Key, { expiresInSeconds: ports.urlSeconds });
  const result = await ports.commit({
    facts: { ...file.facts, contentType: stored.contentType ?? file.facts.contentType },
    stored,
    url: { s3Url: url, urlExpiresAt: expiresAt },
    uploadedAt: ports.now(),
    attempt: file.attempt,
    maxAttempts: file.maxAttempts,
  });
  if (result.ok) return;
  const { code, message, details } = result.error;
  throw new AppError(isErrorCode(code) ? code : 'METADATA_REJECTED', message, { details: { ...details } });
}
