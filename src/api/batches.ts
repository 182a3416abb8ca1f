import type { RequestHandler, Router } from 'express';
import { AppError } from '#errors';
import { type Access, callerOf } from './auth.ts';
import { parse } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { batchParams } from './schemas.ts';

/** `GET /v1/batches/:batchId`: what became of the files of one request. */
export function batches(router: Router, { producer }: ApiPorts, access: Access): void {
  const get: RequestHandler = async (req, res) => {
    const { batchId } = parse(batchParams, req.params);
    const batch = await producer.getBatch(batchId);
    if (!batch || !(await access.allows(callerOf(res), 'assets:read', batch.project))) {
      throw new AppError('NOT_FOUND', `There is no batch ${batchId}.`);
    }
    res.json(batch);
  };
  resource(router, '/v1/batches/:batchId', { get });
}
