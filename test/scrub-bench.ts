import { join } from 'node:path';
import { afterAll, afterEach, beforeEach } from 'vitest';
import { recountProcessor } from '#processors/recount.ts';
import type { Processors } from '#processors/run.ts';
import { type ScrubPorts, scrubProcessor } from '#processors/scrub.ts';
import { type LaneWorker, startLaneWorker } from '#processors/worker.ts';
import { JOBS } from '#queues/catalog.ts';
import { createFollowUps } from '#queues/follow-ups.ts';
import { jobOptions } from '#queues/lanes.ts';
import { createPendingPacks } from '#queues/pending-packs.ts';
import { createScrubState, type ScrubState } from '#queues/scrub-state.ts';
import type { Store } from '#storage/store.ts';
import { someCommit } from './asset-facts.ts';
import { pieces } from './sources.ts';
import { until } from './until.ts';
import { openWorkerParts, type WorkerParts } from './worker-parts.ts';

const LATER = 2 * 3_600_000;
/** So many of a hundred in a day that each run reads all. */
export const ALL = 2_400;

export interface ReadyFile {
  readonly assetId: string;
  readonly s3Key: string;
  readonly path: string;
}

type Page = Parameters<WorkerParts['metadata']['scanAssets']>[1];
type OnRead = (key: string, reads: number, signal?: AbortSignal) => Promise<void> | void;

/** Parts of one process for the tests of a file; each test has a project of its own, which is all that its scrub sees. */
export async function openScrubBench() {
  const parts: WorkerParts = await openWorkerParts();
  const { redis, producer, store, metadata, audit, urlCache, log, metrics } = parts;
  const { maintenance } = producer.lanes;
  const workers: LaneWorker[] = [];
  let runs = 0;
  let project = '';
  let state: ScrubState;

  beforeEach(() => {
    project = `p-${++runs}`;
    state = createScrubState(redis, project, maintenance);
  });
  afterEach(async () => void (await Promise.all(workers.splice(0).map((worker) => worker.close(5_000)))));
  afterAll(async () => {
    await parts.close();
    await parts.remove();
  });

  async function add(): Promise<string> {
    const jobId = `scrub-${++runs}`;
    await maintenance.add('scrub', {}, jobOptions('scrub', jobId));
    return jobId;
  }
  const completed = (jobId: string) =>
    until(async () => (await maintenance.getJobState(jobId)) === 'completed', {
      within: 15_000,
      what: `${jobId} to be completed`,
    });

  return {
    parts,
    get project() {
      return project;
    },
    get state() {
      return state;
    },
    /** A worker that scrubs two hours from now, with some of its ports replaced. */
    serve(own: Partial<ScrubPorts> = {}): LaneWorker {
      const pending = createPendingPacks(redis, 'worker');
      const { recount } = createFollowUps(producer.lanes, pending);
      const prefix = `projects/${project}/`;
      const scanned = { ...metadata, scanAssets: (_prefix: string, page: Page) => metadata.scanAssets(prefix, page) };
      const scrub = scrubProcessor({
        ...{ store, metadata: scanned, audit, urlCache, log, state, recount, getJob: producer.getJob },
        ...{ now: () => Date.now() + LATER, percentPerDay: ALL, monotonic: () => performance.now() },
        ...own,
      });
      const idle = Object.fromEntries(Object.keys(JOBS).map((job) => [job, async () => ({ end: 'done' })]));
      const processors = { ...idle, scrub, recount: recountProcessor(metadata) } as unknown as Processors;
      const worker = startLaneWorker('maintenance', {
        ...{ redis, prefix: 'worker', processors, pending, log, metrics },
        ...{ onUnreadable: async () => undefined, isAnythingAway: async () => false, random: Math.random },
      });
      workers.push(worker);
      return worker;
    },
    /** Files that are ready, by key. */
    async ready(count: number): Promise<ReadyFile[]> {
      const items = [];
      for (let at = 0; at < count; at += 1) {
        const scene = { project, session: 's', scene: 'c' };
        const item = someCommit(scene, { s3Key: `projects/${project}/${at}`, acceptedSeq: at + 1 });
        const bytes = Buffer.from(`the bytes of ${at}`);
        items.push({ ...item, stored: await store.put(item.facts.s3Key, pieces(bytes), { contentType: 'video/mp4' }) });
      }
      await metadata.commit(items);
      return items.map(({ facts: { assetId, s3Key } }) => ({
        assetId,
        s3Key,
        path: join(parts.dir, 'store/objects', s3Key),
      }));
    },
    /** The disk store, which tells of each object that is read. */
    watched(onRead: OnRead = () => undefined) {
      const reads: string[] = [];
      const get: Store['get'] = async (key, options) => {
        reads.push(key);
        await onRead(key, reads.length, options?.signal);
        return store.get(key, options);
      };
      return { reads, store: { quarantine: store.quarantine, get } };
    },
    add,
    completed,
    scrub: async () => completed(await add()),
    async quarantined() {
      const { objects } = await metadata.listQuarantined({ limit: 500 });
      return objects.filter(({ s3Key }) => s3Key.startsWith(`projects/${project}/`));
    },
    rowOf: async (assetId: string) => (await metadata.getAssets([assetId]))[0],
  };
}
