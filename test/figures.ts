import type { Stack } from './stack.ts';

/** Commit mutations the worker has sent so far, from its own metrics. */
export async function commitMutations(stack: Pick<Stack, 'metricsUrl'>): Promise<number> {
  const text = await (await fetch(stack.metricsUrl)).text();
  const line = text.match(/^reelay_convex_mutations_total\{function="assets[.:]batchUpdateAssets"\} (\d+)/m);
  return Number(line?.[1] ?? 0);
}
