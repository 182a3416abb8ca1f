import type { RequestHandler, Router } from 'express';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { within } from './within.ts';

export interface Readiness {
  /** True while API and a worker serve and intake works. */
  readonly ready: boolean;
  /** What is away while the rest goes on. */
  readonly degraded: readonly ('store' | 'metadata')[];
  /** What keeps the whole from serving. */
  readonly missing: readonly ('queue' | 'worker')[];
}

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

/** Asks all of them at once. Work waits for an absent store or Convex; without queue or worker there is none. */
async function check({ producer, store, metadata }: ApiPorts): Promise<Readiness> {
  const [queue, worker, storeUp, metadataUp] = await Promise.all([
    answers(() => producer.check()),
    answers(async () => {
      if (!(await producer.hasWorker())) throw new Error('no worker serves');
    }),
    answers(() => store.check()),
    answers(() => metadata.check()),
  ]);
  const degraded = [...(storeUp ? [] : ['store' as const]), ...(metadataUp ? [] : ['metadata' as const])];
  const missing = [...(queue ? [] : ['queue' as const]), ...(worker ? [] : ['worker' as const])];
  return { ready: missing.length === 0, degraded, missing };
}

async function answers(ask: () => Promise<void>): Promise<boolean> {
  return within(CHECK_MS, ask()).then(
    () => true,
    () => false,
  );
}
