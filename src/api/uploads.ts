import type { RequestHandler, Router } from 'express';
import { newBatchId } from '#queues/ids.ts';
import { type Access, callerOf, scoped } from './auth.ts';
import { logOf } from './correlation.ts';
import { idempotencyKeyOf, once } from './idempotency.ts';
import { inFlight } from './in-flight.ts';
import { intakeOf, takeIn } from './intake.ts';
import { checkLocks } from './locks.ts';
import { originLocator } from './origins.ts';
import { checkCount, jsonBody, parse } from './parse.ts';
import { planFiles, toPlan } from './plan.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { roomed } from './room.ts';
import { LIMITS, uploadBody, uploadQuery } from './schemas.ts';
import { dropStaged } from './staged.ts';
import { giveBackStaged, takeStaged } from './staged-origins.ts';

/** `POST /v1/uploads`: many files of one scene or session, each with an origin. */
export function uploads(router: Router, ports: ApiPorts, access: Access): void {
  const records = ports.producer.staging;
  const locate = originLocator(ports.config, records);
  const post: RequestHandler = async (req, res) => {
    const { dryRun } = parse(uploadQuery, req.query);
    const key = idempotencyKeyOf(req);
    checkCount(req.body?.files, LIMITS.files, 'files');
    const body = parse(uploadBody, req.body);
    await access.require(callerOf(res), 'assets:write', body.project);
    await checkLocks(ports, body.files);
    if (dryRun) {
      res.json(toPlan(await planFiles(body, newBatchId(), locate)));
      return;
    }
    const { files, ...entity } = body;
    const stagingIds = files.flatMap(({ origin }) => (origin.kind === 'staged' ? [origin.stagingId] : []));
    const staged: string[] = [];
    const undo = async (batchId: string | undefined) => {
      await dropStaged(ports.store, staged, logOf(res));
      if (batchId !== undefined) await giveBackStaged(records, stagingIds, batchId);
    };
    const answer = await once(ports.producer, res, { key, body, undo }, async (batchId) => {
      const planned = await planFiles(body, batchId, locate);
      const intake = intakeOf(ports, res, { batchId, entity, staged });
      await takeStaged(records, stagingIds, batchId);
      return takeIn(ports, intake, planned, logOf(res));
    });
    res.status(202).json(answer);
  };
  resource(router, '/v1/uploads', {
    post: [inFlight(ports, 'intake'), scoped(access, 'assets:write'), roomed(ports), ...jsonBody, post],
  });
}
