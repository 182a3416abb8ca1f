import type { RequestHandler, Router } from 'express';
import { AppError, toAppError } from '#errors';
import { queueUnavailable } from '#redis/connection.ts';
import { type AssetView, viewRow, viewUpdate } from './asset-view.ts';
import { type Access, callerOf } from './auth.ts';
import { parse } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { assetParams } from './schemas.ts';

type Ports = Pick<ApiPorts, 'metadata' | 'outbox'>;

/** `GET /v1/assets/:assetId`: status and facts, from the moment it was accepted. */
export function assets(router: Router, ports: Ports, access: Access): void {
  const get: RequestHandler = async (req, res) => {
    const { assetId } = parse(assetParams, req.params);
    const asset = await findAsset(ports, assetId);
    if (!asset || !(await access.allows(callerOf(res), 'assets:read', asset.project))) throw noAsset(assetId);
    res.json(asset);
  };
  resource(router, '/v1/assets/:assetId', { get });
}

/**
 * The row, else the news waiting for Convex. The outbox may hand the news over between the two looks, so who is
 * in neither is looked for again.
 */
async function findAsset({ metadata, outbox }: Ports, assetId: string): Promise<AssetView | undefined> {
  const inConvex = async () => {
    const [row] = await metadata.getAssets([assetId]);
    return row && viewRow(row);
  };
  const onItsWay = async () => {
    const update = await outbox.get(assetId).catch((error: unknown) => {
      throw queueUnavailable(error);
    });
    return update && viewUpdate(update);
  };
  try {
    return (await inConvex()) ?? (await onItsWay()) ?? (await inConvex());
  } catch (error) {
    const remembered = toAppError(error).unavailable ? await onItsWay().catch(() => undefined) : undefined;
    if (!remembered) throw error;
    return { ...remembered, stale: true };
  }
}

export function noAsset(assetId: string): AppError {
  return new AppError('NOT_FOUND', `There is no asset ${assetId}.`);
}
