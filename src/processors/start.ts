import type { Breakers } from '#breakers/breakers.ts';
import type { Config } from '#config';
import type { AppError } from '#errors';
import type { Logger } from '#log';
import type { AuditLog } from '#metadata/audit-log.ts';
import { createCommitLoader } from '#metadata/commit-loader.ts';
import type { AssetCommit, Metadata } from '#metadata/metadata.ts';
import type { StatusOutbox } from '#metadata/status-outbox.ts';
import type { Metrics } from '#metrics';
import { createBatches } from '#queues/batches.ts';
import { createCancelWatch } from '#queues/cancel-watch.ts';
import { createCancellations } from '#queues/cancellations.ts';
import type { AnyPack, Lane } from '#queues/catalog.ts';
import { createFollowUps } from '#queues/follow-ups.ts';
import { createLiveJobs } from '#queues/live-jobs.ts';
import { createOpenBatches } from '#queues/open-batches.ts';
import { createPendingPacks } from '#queues/pending-packs.ts';
import type { Producer } from '#queues/producer.ts';
import { createReconcileReports } from '#queues/reconcile-reports.ts';
import { createReopening } from '#queues/reopening.ts';
import { keepSchedules, schedulesOf } from '#queues/schedules.ts';
import { createScrubState } from '#queues/scrub-state.ts';
import { createStoredFiles } from '#queues/stored-files.ts';
import type { RedisConnection } from '#redis/connection.ts';
import type { Keep } from '#redis/replicas.ts';
import type { Store } from '#storage/store.ts';
import { batchEndProcessor } from './batch-end.ts';
import { letterProcessors } from './letter-processors.ts';
import { serveMetrics } from './metrics-server.ts';
import { originOpener } from './origin.ts';
import { reconcileProcessor } from './reconcile.ts';
import { reconcileWalks } from './reconcile-walks.ts';
import { recountProcessor } from './recount.ts';
import { restWhileAway } from './resting.ts';
import type { Processors } from './run.ts';
import { scrubProcessor } from './scrub.ts';
import { stagingExpiryProcessor } from './staging-expiry.ts';
import { uploadProcessor } from './upload.ts';
import type { WithdrawPorts } from './withdraw.ts';
import { startLaneWorker } from './worker.ts';

/** Jobs in work get this long to park at shutdown, in milliseconds. */
const PARK_WITHIN = 8_000;

/** What a worker's process is made of; `redis` waits for its server rather than fail. */
export interface WorkerPorts {
  readonly redis: RedisConnection;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly store: Store;
  readonly metadata: Metadata;
  readonly breakers: Breakers;
  readonly outbox: StatusOutbox;
  readonly audit: AuditLog;
  readonly producer: Producer;
  readonly urlCache: WithdrawPorts['urlCache'];
  /** How a write outlives a failover of Redis; the master alone has it unless given. */
  readonly keep?: Keep | undefined;
  close(): Promise<void>;
}

/** Starts a worker on `config.lanes`; its metrics are at `config.metricsPort`. */
export async function startWorker(parts: WorkerPorts, config: Config): Promise<{ close(): Promise<void> }> {
  const { redis, log, metrics, store, metadata, outbox, audit, producer, keep, breakers } = parts;
  const { prefix } = config.redis;
  const batches = createBatches(redis, prefix, keep);
  const pending = createPendingPacks(redis, prefix);
  const followUps = createFollowUps(producer.lanes, pending, keep);
  const commits = createCommitLoader({ metadata, onFlush: ({ ms }) => metrics.commitSeconds.observe(ms / 1_000) });

  const cancellations = createCancellations(redis, prefix);
  const cancelWatch = createCancelWatch(redis, prefix, cancellations, (err) =>
    log.warn({ err }, 'Cancellations are heard late'),
  );
  const shared = {
    ...{ store, outbox, metadata, audit, batches, cancellations, log, metrics, now: Date.now },
    storedFiles: createStoredFiles(redis, prefix),
    openBatches: createOpenBatches(redis, prefix),
    commit: (item: AssetCommit) => commits.commit(item),
    urlSeconds: config.urls.expiresSeconds,
  };
  const liveJobs = createLiveJobs(redis, prefix, producer.lanes);
  const processors: Processors = {
    upload: uploadProcessor({
      ...{ ...shared, ...followUps, random: Math.random },
      ...{ watchCancel: cancelWatch.watch, metadataBreaker: breakers.metadata },
      allowance: config.uploadTime,
      openOrigin: originOpener(store, config),
    }),
    'batch-end': batchEndProcessor({ ...shared, ...followUps }),
    recount: recountProcessor(metadata),
    scrub: scrubProcessor({
      ...{ store, metadata, audit, urlCache: parts.urlCache, log, now: Date.now, recount: followUps.recount },
      state: createScrubState(redis, prefix, producer.lanes.maintenance),
      getJob: producer.getJob,
      percentPerDay: config.scrubPercentPerDay,
      monotonic: () => performance.now(),
    }),
    reconcile: reconcileProcessor({
      walks: reconcileWalks(
        {
          ...{ ...shared, ...followUps, ...createReopening(redis, prefix, producer.lanes) },
          ...{ liveJobs, urlCache: parts.urlCache, staging: producer.staging },
        },
        producer.lanes,
      ),
      reports: createReconcileReports(redis, prefix, producer.lanes.maintenance),
      ...{ audit, now: Date.now },
    }),
    'staging-expiry': stagingExpiryProcessor({ staging: producer.staging, batches, store }),
    ...letterProcessors({ redis, prefix, lanes: producer.lanes, pending, store, log, audit, caps: config.deadLetters }),
  };
  const onUnreadable = async ({ batchId, files, correlationId }: AnyPack, error: AppError) => {
    const ends = files.map(({ assetId }) => [assetId, error.toFacts()] as const);
    if (ends.length === 0) return;
    const { last } = await batches.finish(batchId, ends);
    if (last) await followUps.endBatch(batchId, correlationId);
  };
  // Before the first job is taken: a port that is taken ends the process here.
  const server = await serveMetrics(metrics, config.host, config.metricsPort);
  const startLane = (lane: Lane) =>
    startLaneWorker(lane, {
      ...{ redis, prefix, keep, processors, pending, log, metrics, onUnreadable },
      isAnythingAway: async () => (await breakers.list()).length > 0,
      random: Math.random,
    });
  const workers = new Map(config.lanes.map((lane) => [lane, startLane(lane)]));
  const schedules = keepSchedules(producer.lanes.maintenance, schedulesOf(config.reconcile), Date.now, (err) =>
    log.warn({ err }, 'Scheduled jobs may be missing'),
  );
  const restNoMore = restWhileAway(breakers.store, workers);
  outbox.start();
  audit.start();
  log.info({ lanes: config.lanes, metricsPort: server.port }, 'The worker serves its lanes');

  return {
    async close() {
      schedules.stop();
      restNoMore();
      await Promise.all([...workers.values()].map((worker) => worker.close(PARK_WITHIN)));
      cancelWatch.close();
      await commits.close();
      await Promise.all([outbox.stop(), audit.stop()]);
      await server.close();
      await parts.close();
    },
  };
}
