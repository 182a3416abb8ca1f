import type { RequestHandler, Router } from 'express';
import { AppError } from '#errors';
import { viewRow } from './asset-view.ts';
import { type Access, callerOf } from './auth.ts';
import { invalid } from './field-error.ts';
import { parse } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { entityParams, listQuery } from './schemas.ts';

/** The assets of a session or a scene, a page at a time. */
export function lists(router: Router, { metadata }: ApiPorts, access: Access): void {
  const get: RequestHandler = async (req, res) => {
    const entity = parse(entityParams, req.params);
    const { type, ...page } = parse(listQuery, req.query);
    await access.require(callerOf(res), 'assets:read', entity.project);
    const { assets, next } = await metadata.listAssets(entity, { ...page, assetType: type }).catch((error: unknown) => {
      throw blamesCursor(error)
        ? invalid([{ path: 'cursor', message: 'Must be the next of an earlier page of this list.' }])
        : error;
    });
    res.json({ assets: assets.map(viewRow), next });
  };
  resource(router, '/v1/projects/:project/sessions/:session/assets', { get });
  resource(router, '/v1/projects/:project/sessions/:session/scenes/:scene/assets', { get });
}

/** Convex names an `InvalidCursor` for one that it did not give, or gave for another list. */
function blamesCursor(error: unknown): boolean {
  return error instanceof AppError && error.code === 'METADATA_REJECTED' && error.message.includes('InvalidCursor');
}
