import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics of the contract, in a registry of their own so that tests do not share counts. */
export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    uploads: new Counter({
      name: 'reelay_uploads_total',
      help: 'Files that reached an end, by lane and result.',
      labelNames: ['lane', 'result'],
      registers,
    }),
    uploadSeconds: new Histogram({
      name: 'reelay_upload_duration_seconds',
      help: 'Seconds from taking a pack to its end.',
      labelNames: ['lane'],
      buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800],
      registers,
    }),
    commitSeconds: new Histogram({
      name: 'reelay_commit_duration_seconds',
      help: 'Seconds of one commit mutation.',
      buckets: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
      registers,
    }),
    assetBytes: new Histogram({
      name: 'reelay_asset_bytes',
      help: 'Sizes of assets made ready.',
      buckets: [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10],
      registers,
    }),
    packs: new Counter({
      name: 'reelay_packs_total',
      help: 'Packs enqueued, by lane.',
      labelNames: ['lane'],
      registers,
    }),
    convexMutations: new Counter({
      name: 'reelay_convex_mutations_total',
      help: 'Mutations sent to Convex, by function.',
      labelNames: ['function'],
      registers,
    }),
    operations: new Gauge({
      name: 'reelay_operations_in_flight',
      help: 'Operations running now.',
      labelNames: ['operation'],
      registers,
    }),
    queueJobs: new Gauge({
      name: 'reelay_queue_jobs',
      help: 'Jobs by queue and state.',
      labelNames: ['queue', 'state'],
      registers,
    }),
    deadLetters: new Gauge({
      name: 'reelay_dead_letters',
      help: 'Jobs in the failed set.',
      labelNames: ['queue'],
      registers,
    }),
    outboxSize: new Gauge({ name: 'reelay_status_outbox_size', help: 'Status writes waiting for Convex.', registers }),
    breakerOpen: new Gauge({
      name: 'reelay_breaker_open',
      help: '1 while this process refuses calls to the dependency at once, or, for the queue, has no connection.',
      labelNames: ['dependency'],
      registers,
    }),
    urlRequests: new Counter({
      name: 'reelay_url_requests_total',
      help: 'URLs handed out, by where they came from.',
      labelNames: ['served_from'],
      registers,
    }),
  };
}
