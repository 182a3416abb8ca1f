import type { FunctionReturnType } from 'convex/server';
import type { api } from '#convex/_generated/api.js';
import { AppError, type ErrorCode, type ErrorFacts, isErrorCode } from '#errors';
import { type ApiKey, type AssetRow, type CommitResult, type QuarantinedObject, SCOPES } from './metadata.ts';

/** What the functions of `convex/` answer, in the words of the port. */

type CommitView = FunctionReturnType<typeof api.assets.batchUpdateAssets>[number];
type AssetView = FunctionReturnType<typeof api.assets.getMany>[number];
type QuarantinedView = FunctionReturnType<typeof api.quarantine.list>['objects'][number];

export function toCommitResult(result: CommitView): CommitResult {
  if (result.ok) return result;
  const { code, message } = result.error;
  const error = new AppError(knownCode(code, 'METADATA_REJECTED'), message);
  return { assetId: result.assetId, ok: false, error: error.toFacts() };
}

export function toRow({ error, metadata, ...view }: AssetView): AssetRow {
  const row = { ...view, metadata: JSON.parse(metadata) as AssetRow['metadata'] };
  return error ? { ...row, error: toFacts(error) } : row;
}

export function toQuarantined({ reason, ...object }: QuarantinedView): QuarantinedObject {
  return { ...object, reason: toFacts(reason) };
}

export function toApiKey(key: FunctionReturnType<typeof api.apiKeys.find>): ApiKey | undefined {
  return key ? { ...key, scopes: SCOPES.filter((scope) => key.scopes.includes(scope)) } : undefined;
}

function toFacts(error: QuarantinedView['reason']): ErrorFacts {
  return { ...error, code: knownCode(error.code, 'INTERNAL') };
}

/** Another version of Reelay may have written a code that this one does not know. */
function knownCode(code: string, otherwise: ErrorCode): ErrorCode {
  return isErrorCode(code) ? code : otherwise;
}
