import { AppError } from '#errors';
import type { Metadata } from '#metadata/metadata.ts';
import type { Batches, BatchStanding, FileEnd } from '#queues/batches.ts';
import type { FollowUps } from '#queues/follow-ups.ts';
import { assetIdOf, endJobId, packJobId } from '#queues/ids.ts';
import type { LiveJobs } from '#queues/live-jobs.ts';
import type { OpenBatches } from '#queues/open-batches.ts';
import { type Finding, isPast, type Walk } from './reconcile-walk.ts';

export interface BatchPorts extends Pick<FollowUps, 'endBatch'> {
  readonly batches: Pick<Batches, 'standing' | 'finish' | 'abandon'>;
  readonly openBatches: OpenBatches;
  readonly liveJobs: Pick<LiveJobs, 'upload' | 'maintenance'>;
  readonly metadata: Pick<Metadata, 'getAssets'>;
}

/** Ids of one lookup. */
const SLICE = 1_000;

/** Batches that were not brought to their end, and that nobody will. They have no key, so a run with a prefix leaves them out. */
export function batchesWalk(ports: BatchPorts): Walk {
  const { batches, openBatches } = ports;
  return {
    name: 'batches',
    async page(place, look) {
      if (look.prefix !== '') return { suspects: [], scanned: {}, next: undefined };
      const { batches: open, next } = await openBatches.page(place);
      const old = open.filter(({ createdAt }) => isPast('batch not ended', createdAt, look));
      const suspects = old.map(({ batchId }) => ({ subject: batchId }));
      return { suspects, scanned: { batches: open.length }, next };
    },
    async judge(suspects) {
      const found: Finding[] = [];
      for (const suspect of suspects) {
        const detail = await judge(ports, suspect.subject);
        if (detail !== undefined) found.push({ class: 'stuck-batch', detail, suspect });
      }
      return found;
    },
    async repair({ suspect: { subject: batchId } }, { jobId }, plan) {
      const standing = await batches.standing(batchId);
      if (!standing) return;
      await plan('ended');
      if (standing.state === 'accepting') {
        await batches.abandon(batchId, standing.round);
        return openBatches.close(batchId);
      }
      const ends = await lostEnds(ports, batchId, standing);
      const { last } = await batches.finish(batchId, ends);
      if (last) await ports.endBatch(batchId, jobId);
    },
  };
}

/** Who may still work on it is asked first. A batch that nobody knows any more, or that was given up, is only let go. */
async function judge({ batches, openBatches, liveJobs }: BatchPorts, batchId: string): Promise<string | undefined> {
  const before = await batches.standing(batchId);
  if (!before || before.state === 'abandoned') {
    await openBatches.close(batchId);
    return undefined;
  }
  if ((await liveJobs.maintenance(endJobId(batchId))) !== 'over') return undefined;
  const isEnded = before.ended.size >= before.total;
  for (let index = 0; !isEnded && index < before.packs; index += 1) {
    if ((await liveJobs.upload(packJobId(batchId, before.round, index))) !== 'over') return undefined;
  }
  const standing = await batches.standing(batchId);
  if (!standing || standing.ended.size !== before.ended.size || standing.state !== before.state) return undefined;
  if (standing.state === 'accepting') return 'It was never accepted, and none of its jobs is there.';
  if (isEnded) return 'Each of its files has its end, and its own is missing.';
  return `${standing.total - standing.ended.size} of its ${standing.total} files have no end, and no job works on them.`;
}

/** The ends of files that nobody wrote: as their rows say it, or lost. A row that is open still is another finding. */
async function lostEnds(
  { metadata }: BatchPorts,
  batchId: string,
  { total, ended }: BatchStanding,
): Promise<FileEnd[]> {
  const open = Array.from({ length: total }, (_, index) => assetIdOf(batchId, index)).filter((id) => !ended.has(id));
  const ends: FileEnd[] = [];
  for (let at = 0; at < open.length && ended.size < total; at += SLICE) {
    const ids = open.slice(at, at + SLICE);
    const rows = new Map((await metadata.getAssets(ids)).map((row) => [row.assetId, row]));
    for (const assetId of ids) {
      const row = rows.get(assetId);
      if (row?.status === 'pending' || row?.status === 'uploading') continue;
      const lost = new AppError('JOB_LOST', 'The job of this file is gone.').toFacts();
      ends.push([assetId, row?.status === 'ready' ? 'ready' : (row?.error ?? lost)]);
    }
  }
  return ends;
}
