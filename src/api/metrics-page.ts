import type { RequestHandler, Router } from 'express';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';

/** `/metrics` of the API's process. What is read from Redis is read at the scrape, and left out while it is away. */
export function metricsPage(router: Router, ports: ApiPorts): void {
  const { metrics, log } = ports;
  const get: RequestHandler = async (_req, res) => {
    await refresh(ports).catch((err: unknown) => {
      for (const gauge of [metrics.queueJobs, metrics.deadLetters, metrics.outboxSize]) gauge.reset();
      log.warn({ err }, 'The gauges could not be read');
    });
    res.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  };
  resource(router, '/metrics', { get });
}

async function refresh({ producer, outbox, metrics }: ApiPorts): Promise<void> {
  const [counts, waiting] = await Promise.all([producer.counts(), outbox.size()]);
  metrics.outboxSize.set(waiting);
  for (const [queue, states] of Object.entries(counts)) {
    for (const [state, count] of Object.entries(states)) metrics.queueJobs.set({ queue, state }, count);
    metrics.deadLetters.set({ queue }, states.failed);
  }
}
