import type { RequestHandler, Router } from 'express';
import type { Status } from '#answers';
import { DEPENDENCIES, type Dependency } from '#breakers/breakers.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { within } from './within.ts';

/** Ready while API and a worker serve and intake works; what is away while the rest goes on; what keeps the whole from serving. */
export type Readiness = Pick<Status, 'ready' | 'degraded' | 'missing'>;

/** A dependency that takes longer than this to answer is away. */
const CHECK_MS = 1_500;
/** Everybody who asks within this time gets one answer, so that asking often costs nothing. */
const REMEMBER_MS = 1_000;

/** `/health/live` and `/health/ready`; gives the question itself, for the status page. */
export function health(router: Router, ports: ApiPorts): () => Promise<Readiness> {
  let last: { readonly at: number; readonly answer: Promise<Readiness> } | undefined;
  const ready = () => {
    if (!last || ports.clock() - last.at >= REMEMBER_MS) last = { at: ports.clock(), answer: check(ports) };
    return last.answer;
  };
  const getLive: RequestHandler = (_req, res) => {
    res.json({ live: true });
  };
  const getReady: RequestHandler = async (_req, res) => {
    const { ready: serves, degraded, missing } = await ready();
    if (!serves) res.status(503).set('Retry-After', '2');
    res.json({ ready: serves, ...(degraded.length > 0 && { degraded }), ...(missing.length > 0 && { missing }) });
  };
  resource(router, '/health/live', { get: getLive });
  resource(router, '/health/ready', { get: getReady });
  return ready;
}

/**
 * Asks all of them at once. Work waits for an absent store or Convex, which any process may be cut off from by itself;
 * without queue or worker there is none.
 */
async function check({ producer, store, metadata, breakers }: ApiPorts): Promise<Readiness> {
  const [queue, worker, storeUp, metadataUp, open] = await Promise.all([
    answers(() => producer.check()),
    answers(async () => {
      if (!(await producer.hasWorker())) throw new Error('no worker serves');
    }),
    answers(() => store.check()),
    answers(() => metadata.check()),
    within(CHECK_MS, breakers.list()).catch(() => []),
  ]);
  const isCutOff = (name: Dependency) => open.some(({ dependency }) => dependency === name);
  const up = { store: storeUp, metadata: metadataUp };
  const degraded = DEPENDENCIES.filter((name) => !up[name] || isCutOff(name));
  const missing = [...(queue ? [] : ['queue' as const]), ...(worker ? [] : ['worker' as const])];
  return { ready: missing.length === 0, degraded, missing };
}

async function answers(ask: () => Promise<void>): Promise<boolean> {
  return within(CHECK_MS, ask()).then(
    () => true,
    () => false,
  );
}
