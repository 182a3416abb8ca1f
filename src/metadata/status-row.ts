import type { AssetRow, StatusUpdate } from './metadata.ts';

/** The row that a status write makes where there is none yet. */
export function rowOf({ facts, fence: _fence, ...status }: StatusUpdate): AssetRow {
  const { jobId: _job, ...known } = facts;
  return { ...known, ...status, current: false };
}
