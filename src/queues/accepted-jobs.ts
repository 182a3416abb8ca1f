import pLimit from 'p-limit';
import { JOBS, parseJobData } from './catalog.ts';
import { packJobId } from './ids.ts';
import type { Lanes } from './lanes.ts';
import type { AcceptedBatch, AcceptRequest } from './producer.ts';

const LOOKED_UP_AT_ONCE = 32;

/** A job of a batch, as its request is told of it. */
export type AcceptedJob = AcceptedBatch['jobs'][number];
type NumberedPack = Pick<AcceptedJob, 'lane' | 'files'>;

/** Bytes announced. */
export function sizeOf(files: readonly { size?: number | undefined }[]): number {
  return files.reduce((sum, { size }) => sum + (size ?? 0), 0);
}

/** Gives each file its place in the order of acceptance. */
export function numbered(packs: AcceptRequest['packs'], firstSeq: number): NumberedPack[] {
  let acceptedSeq = firstSeq;
  return packs.map(({ lane, files }) => ({
    lane,
    files: files.map((file) => ({ ...file, acceptedSeq: acceptedSeq++ })),
  }));
}

/** The packs without the files that a job has already. */
export function lackingIn(jobs: readonly AcceptedJob[], packs: readonly NumberedPack[]): NumberedPack[] {
  const there = new Set(jobs.flatMap(({ files }) => files.map(({ assetId }) => assetId)));
  return packs
    .map(({ lane, files }) => ({ lane, files: files.filter(({ assetId }) => !there.has(assetId)) }))
    .filter(({ files }) => files.length > 0);
}

/** The jobs that an earlier request for the same batch has added. */
export async function findJobs(
  lanes: Lanes,
  batchId: string,
  { round, packs }: { round: number; packs: number },
): Promise<AcceptedJob[]> {
  const jobIds = Array.from({ length: packs }, (_, index) => packJobId(batchId, round, index));
  const found = await pLimit(LOOKED_UP_AT_ONCE).map(jobIds, async (jobId): Promise<AcceptedJob[]> => {
    for (const lane of JOBS.upload.lanes) {
      const job = await lanes[lane].getJob(jobId);
      if (!job) continue;
      const { files } = parseJobData('upload', job.data);
      return [{ jobId, lane, size: sizeOf(files), files }];
    }
    return [];
  });
  return found.flat();
}
