import { unlessAborted } from '#storage/unless-aborted.ts';
import { attempt, type Stage } from './attempt.ts';
import { commitStored } from './commit-stored.ts';
import type { Outcome } from './run.ts';
import { assetFacts } from './status-reporter.ts';
import type { UploadParts } from './upload.ts';
import { cancelPack } from './upload-cancel.ts';
import { conclude } from './upload-conclude.ts';

/**
 * Commits the files that are stored, unless the end of the batch does, and concludes. Of this and a cancellation the
 * first wins: the pack's end is claimed before, and given free again while files are open.
 */
export async function commitPack(parts: UploadParts, stages: readonly Stage[]): Promise<Outcome> {
  const { ports, pack, run } = parts;
  const { batchId } = pack;
  const owner = `${run.jobId}/${run.starts}`;
  const commits = pack.commit === 'each' && stages.some((stage) => 'stored' in stage);
  const cancelled = await ports.cancellations.claim(batchId, [run.jobId], { owner, commits });
  if (cancelled.size > 0) return cancelPack(parts);
  let outcome: Outcome | undefined;
  try {
    outcome = await conclude(parts, commits ? await commitFiles(parts, stages) : stages);
    return outcome;
  } finally {
    const isOver = outcome?.end === 'failed' || (outcome?.end === 'done' && pack.commit === 'each');
    // Should this get lost, the next start takes the claim back.
    if (!isOver) await ports.cancellations.release(batchId, [run.jobId], owner).catch(() => undefined);
  }
}

/** All at once: what is committed together travels in one mutation. */
function commitFiles({ ports, pack, run, state }: UploadParts, stages: readonly Stage[]): Promise<Stage[]> {
  return Promise.all(
    stages.map((stage) => {
      if ('error' in stage) return stage;
      const { file, stored } = stage;
      return attempt(run, file, async () => {
        const facts = assetFacts(pack, file, run.jobId);
        const tries = { attempt: state.triesOf(file.assetId) + 1, maxAttempts: run.maxAttempts };
        await unlessAborted(run.signal, commitStored(ports, { facts, stored, ...tries }));
        return stored;
      });
    }),
  );
}
