import { type ReconcileReport, reconcileReport } from '#answers';
import { json } from './json.ts';
import type { CallOptions } from './retry.ts';
import type { Transport } from './transport.ts';

/** Comparisons of store, Convex and Redis; for keys with the scope `admin` in all projects. */
export interface ReconcileCalls {
  /** Asks for one, of keys that begin with `prefix` or of all; with `repair` it mends what it finds, with `force` however much that is. Resolves when it is certain to come about. */
  start(
    options?: CallOptions & { prefix?: string | undefined; repair?: boolean | undefined; force?: boolean | undefined },
  ): Promise<ReconcileReport>;
  /** Its report, so far. */
  get(jobId: string, options?: CallOptions): Promise<ReconcileReport>;
  /** That of the one asked for last. */
  latest(options?: CallOptions): Promise<ReconcileReport>;
}

const PATH = '/v1/admin/reconcile';

export function createReconcileCalls({ read }: Pick<Transport, 'read'>): ReconcileCalls {
  return {
    start: ({ prefix, repair, force, ...call } = {}) =>
      read(PATH, reconcileReport, json({ prefix, repair, force }), call),
    get: (jobId, call) => read(`${PATH}/${encodeURIComponent(jobId)}`, reconcileReport, {}, call),
    latest: (call) => read(PATH, reconcileReport, {}, call),
  };
}
