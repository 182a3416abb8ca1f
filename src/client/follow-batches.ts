import pLimit from 'p-limit';
import type { Batch } from '#answers';
import type { ReelayClient } from './client.ts';
import { ReelayError } from './error.ts';
import type { Known } from './resume.ts';
import type { Sent } from './send.ts';
import type { Tally } from './tally.ts';

const FOLLOWED_AT_ONCE = 8;

/** The batches to follow, each with its files of this upload. */
export function batchesOf(sent: readonly Sent[], known: readonly Known[]): Map<string, number> {
  const batches = new Map<string, number>();
  const add = (batchId: string, files: number) => batches.set(batchId, (batches.get(batchId) ?? 0) + files);
  for (const one of sent) if ('accepted' in one) add(one.accepted.batchId, one.request.files.length);
  for (const { batchId, ready } of known) if (!ready) add(batchId, 1);
  return batches;
}

/** Follows a few batches at a time: most have ended when their turn comes. */
export async function followAll(
  client: ReelayClient,
  batches: ReadonlyMap<string, number>,
  { tally, signal, onBatch }: { tally: Tally; signal: AbortSignal | undefined; onBatch: (batch: Batch) => void },
): Promise<void> {
  const limit = pLimit(FOLLOWED_AT_ONCE);
  tally.awaiting([...batches.values()].reduce((sum, files) => sum + files, 0));
  await Promise.all(
    [...batches].map(([batchId, files]) =>
      limit(async () => {
        let counted = 0;
        const onUpdate = (batch: Batch) => {
          const now = Math.min(files, batch.successful.length + batch.failed.length);
          tally.ended(now - counted);
          counted = now;
        };
        const batch = await client.waitForBatch(batchId, { signal, onUpdate }).catch(unlessForgotten);
        if (batch) onBatch(batch);
      }),
    ),
  );
}

/** The API forgets a batch long ended; an asset of it that is still under way goes on without us. */
function unlessForgotten(thrown: unknown): undefined {
  if (!(thrown instanceof ReelayError && thrown.code === 'NOT_FOUND')) throw thrown;
}
