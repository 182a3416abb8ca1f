import type { Metadata, StatusUpdate } from '#metadata/metadata.ts';
import type { StatusOutbox } from '#metadata/status-outbox.ts';
import type { Cancellations } from '#queues/cancellations.ts';

export interface CancelPorts {
  readonly cancellations: Cancellations;
  readonly metadata: Pick<Metadata, 'applyStatuses' | 'getAssets'>;
  readonly outbox: Pick<StatusOutbox, 'put' | 'forget'>;
}

/**
 * Ends the rows of a cancelled job's open files by `updates`. Answers the ids of those that had been committed after
 * all. When a commit was ever sent Convex decides, whose transaction refuses the commit of a cancelled row and keeps
 * a row that is ready: this throws `METADATA_UNAVAILABLE` while it is away.
 */
export async function cancelFiles(
  { cancellations, metadata, outbox }: CancelPorts,
  { batchId, jobId }: { batchId: string; jobId: string },
  updates: readonly StatusUpdate[],
): Promise<ReadonlySet<string>> {
  if (updates.length === 0) return new Set();
  if (!(await cancellations.mayBeCommitted(batchId, jobId))) {
    await outbox.put(updates);
    return new Set();
  }
  const assetIds = updates.map(({ facts }) => facts.assetId);
  await metadata.applyStatuses(updates);
  const rows = await metadata.getAssets(assetIds);
  await outbox.forget(assetIds);
  return new Set(rows.filter(({ status }) => status === 'ready').map(({ assetId }) => assetId));
}
