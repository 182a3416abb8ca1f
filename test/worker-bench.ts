import { afterAll, afterEach } from 'vitest';
import { startWorker } from '#processors/start.ts';
import { type HeldOrigin, startHeldOrigin } from './held-origin.ts';
import { packWork } from './pack-work.ts';
import { openWorkerParts, type WorkerParts } from './worker-parts.ts';

/** The parts of an API's process, which runs no job, and workers beside it that read from an origin the test holds. */
export interface WorkerBench {
  readonly origin: HeldOrigin;
  readonly api: WorkerParts;
  readonly work: ReturnType<typeof packWork>;
  /** Parts of one more process, which reaches Redis at another address when `server` is given. */
  openParts(server?: WorkerParts['server']): Promise<WorkerParts>;
  /** Starts a worker on parts of its own, some of them replaced, on all lanes unless some are named. */
  serve(own?: Partial<WorkerParts>, lanes?: WorkerParts['config']['lanes']): Promise<WorkerParts>;
  stopWorkers(): Promise<void>;
}

/** A bench for all the tests of a file: each test's workers are stopped after it, and everything is gone after the last. */
export async function openWorkerBench(): Promise<WorkerBench> {
  const bench = await startBench();
  afterAll(() => bench.close());
  afterEach(() => bench.stopWorkers());
  return bench;
}

async function startBench(): Promise<WorkerBench & { close(): Promise<void> }> {
  const origin = await startHeldOrigin();
  const env = { URL_ORIGIN_PORTS: String(origin.port), URL_ORIGIN_ALLOW_CIDRS: '127.0.0.0/8' };
  const api = await openWorkerParts({ env });
  const openParts = (server = api.server) => openWorkerParts({ env, beside: { ...api, server } });
  const workers: { close(): Promise<void> }[] = [];
  return {
    ...{ origin, api, work: packWork(api), openParts },
    async serve(own = {}, lanes) {
      const parts = { ...(await openParts()), ...own };
      workers.push(await startWorker(parts, lanes ? { ...parts.config, lanes } : parts.config));
      return parts;
    },
    async stopWorkers() {
      await Promise.all(workers.splice(0).map((worker) => worker.close()));
    },
    async close() {
      await api.close();
      await api.remove();
      await origin.close();
    },
  };
}
