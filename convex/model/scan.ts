import { compareValues, type Infer, v } from 'convex/values';
import type { Doc } from '../_generated/dataModel.js';
import type { QueryCtx } from '../_generated/server.js';
import { assetFacts, assetState } from './fields.ts';
import { firstPage, type KeyPage, nextAfter, pastPrefix } from './keys.ts';

const facts = assetFacts.pick('assetId', 'entity', 'assetType', 's3Key', 'batchId', 'jobId', 'createdAt');
const state = assetState.pick('status', 'current', 'version', 'size', 'checksum');

/** What of an asset is compared with the store, and who works on it. */
export const scannedAsset = v.object({ ...facts.fields, ...state.fields, errorCode: v.optional(v.string()) });
type ScannedAsset = Infer<typeof scannedAsset>;

const MOST = 1_000;

/** Rows whose key begins with `prefix`, deleted ones too, by key in the order of its UTF-8. A key is of one asset. */
export async function scanAssets(
  ctx: QueryCtx,
  prefix: string,
  page: KeyPage,
): Promise<{ assets: ScannedAsset[]; next: string | null }> {
  const from = page.after !== undefined && compareValues(page.after, prefix) >= 0 ? page.after : undefined;
  const past = pastPrefix(prefix);
  const found = await ctx.db
    .query('assets')
    .withIndex('by_s3Key', (q) => {
      const lower = from === undefined ? q.gte('s3Key', prefix) : q.gt('s3Key', from);
      return past === undefined ? lower : lower.lt('s3Key', past);
    })
    .paginate(firstPage(page, MOST));
  return { assets: found.page.map(viewScanned), next: nextAfter(found) };
}

function viewScanned(row: Doc<'assets'>): ScannedAsset {
  const { assetId, project, session, scene, type, s3Key, batchId, jobId, createdAt, status, current } = row;
  const { version, size, checksum, error } = row;
  return {
    ...{ assetId, assetType: type, s3Key, batchId, jobId, createdAt, status, current },
    entity: { project, session, ...(scene !== undefined && { scene }) },
    ...(version !== undefined && { version }),
    ...(size !== undefined && { size }),
    ...(checksum !== undefined && { checksum }),
    ...(error && { errorCode: error.code }),
  };
}
