import type { RequestHandler, Router } from 'express';
import type { Status } from '#answers';
import { type Access, scopedEverywhere } from './auth.ts';
import type { Readiness } from './health.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';

/** `/v1/admin/status`: readiness, open breakers, queues, outbox and scrub in one answer, which comes without Redis too. */
export function adminStatus(router: Router, ports: ApiPorts, access: Access, ready: () => Promise<Readiness>): void {
  const { breakers, producer, outbox } = ports;
  const get: RequestHandler = async (_req, res) => {
    const [readiness, open, queues, statusOutbox, scrub] = await Promise.all([
      ready(),
      breakers.list().catch(() => []),
      producer.counts().catch(() => undefined),
      outbox.size().catch(() => undefined),
      producer.scrubCounts().catch(() => undefined),
    ]);
    const answer: Status = { ...readiness, breakers: open, queues, statusOutbox, scrub };
    res.json(answer);
  };
  resource(router, '/v1/admin/status', { get: [scopedEverywhere(access, 'admin'), get] });
}
