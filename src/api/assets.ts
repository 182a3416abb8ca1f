import type { RequestHandler, Router } from 'express';
import { deletedAsset } from '#cache/lookup.ts';
import { AppError, toAppError } from '#errors';
import type { Logger } from '#log';
import type { AssetRow } from '#metadata/metadata.ts';
import { rowOf } from '#metadata/status-row.ts';
import { queueUnavailable } from '#redis/connection.ts';
import { viewRow } from './asset-view.ts';
import { type Access, callerOf } from './auth.ts';
import { logOf } from './correlation.ts';
import { parse } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { assetParams } from './schemas.ts';

type Ports = Pick<ApiPorts, 'metadata' | 'outbox' | 'lastKnown'>;

/** `GET /v1/assets/:assetId`: status and facts, from the moment it was accepted. */
export function assets(router: Router, ports: Ports, access: Access): void {
  const get: RequestHandler = async (req, res) => {
    const { assetId } = parse(assetParams, req.params);
    const { row, stale } = await findAsset(ports, assetId).catch((error: unknown) =>
      recallAsset(ports, assetId, toAppError(error), logOf(res)),
    );
    if (!row || !(await access.allows(callerOf(res), 'assets:read', row.entity.project))) throw noAsset(assetId);
    if (row.status === 'deleted') throw deletedAsset(assetId);
    res.json({ ...viewRow(row), ...(stale && { stale }) });
  };
  resource(router, '/v1/assets/:assetId', { get });
}

interface KnownAsset {
  readonly row: AssetRow | undefined;
  readonly stale?: true;
}

/**
 * The row, else the news waiting for Convex. The outbox may hand the news over between the two looks, so who is
 * in neither is looked for again.
 */
async function findAsset({ metadata, outbox, lastKnown }: Ports, assetId: string): Promise<KnownAsset> {
  const inConvex = async () => (await metadata.getAssets([assetId]))[0];
  const onItsWay = async () => {
    const update = await outbox.get(assetId).catch((error: unknown) => {
      throw queueUnavailable(error);
    });
    return update && rowOf(update);
  };
  const row = (await inConvex()) ?? (await onItsWay()) ?? (await inConvex());
  if (row) lastKnown.note([row]);
  return { row };
}

/** What was last known, when the row cannot be had. Throws `failure` for an asset nobody knows, `GONE` for a deleted one. */
async function recallAsset({ lastKnown }: Ports, assetId: string, failure: AppError, log: Logger): Promise<KnownAsset> {
  const row = failure.unavailable ? (await lastKnown.recall([assetId])).get(assetId) : undefined;
  if (!row) throw failure;
  if (row === 'deleted') throw deletedAsset(assetId);
  log.warn({ code: failure.code, assetId }, 'The asset is shown as it was last known');
  return { row, stale: true };
}

export function noAsset(assetId: string): AppError {
  return new AppError('NOT_FOUND', `There is no asset ${assetId}.`);
}
