import pLimit from 'p-limit';
import { toAppError } from '#errors';
import type { Logger } from '#log';
import { type ChosenLetters, parseJobData } from '#queues/catalog.ts';
import type { DeadLetters } from '#queues/dead-letters.ts';
import type { Discarded, Discards } from '#queues/discards.ts';
import type { Journal, Store } from '#storage/store.ts';
import { openLetterProgress } from './letter-progress.ts';
import type { Run } from './run.ts';
import { stagedKeys } from './spools.ts';
import { journalFields } from './upload-state.ts';

const TIDIED_AT_ONCE = 8;

export interface DiscardPorts {
  readonly deadLetters: Pick<DeadLetters, 'pages'>;
  readonly discards: Discards;
  readonly store: Pick<Store, 'abandon' | 'deleteMany'>;
  readonly log: Logger;
}

/**
 * Discards the dead letters chosen, and finishes what any discard before has begun. Their rows keep their errors. Throws
 * `STORE_UNAVAILABLE` while the store keeps what their packs have left there: what was claimed is found again.
 */
export async function discardLetters(ports: DiscardPorts, chosen: ChosenLetters, run: Run): Promise<void> {
  const progress = await openLetterProgress(run);
  const stopping = AbortSignal.any([run.signal, run.park]);
  await finishDiscards(ports, stopping);
  for await (const { letters, next } of ports.deadLetters.pages(chosen, progress.place)) {
    stopping.throwIfAborted();
    const claimed = await ports.discards.claim(letters, chosen.failedBy);
    await progress.add(claimed, letters.length - claimed);
    await finishDiscards(ports, stopping);
    await progress.passed(next);
  }
}

async function finishDiscards({ discards, store, log }: DiscardPorts, stopping: AbortSignal): Promise<void> {
  await pLimit(TIDIED_AT_ONCE).map(await discards.claimed(), async (claimed) => {
    stopping.throwIfAborted();
    const discarded = await discards.read(claimed);
    if (discarded.job === 'upload') await tidy({ store, log }, discarded);
    await discards.forget(discarded);
  });
}

/** What a pack has in staging, and what it began to put and did not end. What the store refuses to give up stays in it. */
async function tidy({ store, log }: Pick<DiscardPorts, 'store' | 'log'>, { jobId, data, facts }: Discarded) {
  try {
    const pack = parseJobData('upload', data);
    for (const { s3Key, assetId } of pack.files) await store.abandon(s3Key, journalIn(facts, assetId));
    await store.deleteMany(stagedKeys(pack));
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.unavailable) throw error;
    log.warn({ err: error, jobId }, 'Bytes of a discarded pack were left behind');
  }
}

/** What the store noted of a file of a job that runs no more: nobody needs it afterwards. */
function journalIn(facts: Discarded['facts'], assetId: string): Journal {
  return { read: async () => journalFields(facts, assetId), write: async () => undefined };
}
