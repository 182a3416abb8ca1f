import type { BulkJobOptions } from 'bullmq';
import { AppError } from '#errors';
import type { RedisConnection } from '#redis/connection.ts';
import { queueUnavailable } from '#redis/connection.ts';
import { type Keep, keepOnMaster } from '#redis/replicas.ts';
import { defineScript } from '#redis/script.ts';
import { type AcceptedJob, findJobs, lackingIn, numbered, sizeOf } from './accepted-jobs.ts';
import type { Batches } from './batches.ts';
import { JOBS, type Lane, type Pack } from './catalog.ts';
import { packJobId } from './ids.ts';
import { jobOptions, type Lanes } from './lanes.ts';
import { openBatchesKey } from './open-batches.ts';
import type { PendingPacks } from './pending-packs.ts';
import type { AcceptedBatch, AcceptRequest } from './producer.ts';

interface AcceptParts {
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly lanes: Lanes;
  readonly batches: Batches;
  readonly pending: PendingPacks;
  readonly keep?: Keep | undefined;
}

/** `addBulk` is one script a job and blocks other clients meanwhile: this many jobs at a time. */
const SLICE = 500;

/**
 * KEYS sequence, open batches; ARGV count, batch, time. Takes `count` numbers, each higher than any before; from the clock,
 * in microseconds, should Redis have lost the last one; and notes the batch as open. Answers the first number.
 */
const takeSequence = defineScript(`
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local first = math.max(tonumber(redis.call('GET', KEYS[1]) or '0') + 1, now)
  redis.call('SET', KEYS[1], string.format('%.0f', first + tonumber(ARGV[1]) - 1))
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
  return string.format('%.0f', first)
`);

/** What is accepted outlives a failover, as far as `keep` promises it. */
export async function acceptBatch(parts: AcceptParts, request: AcceptRequest): Promise<AcceptedBatch> {
  const { keep = keepOnMaster, lanes } = parts;
  const used = new Set(request.packs.map(({ lane }) => lanes[lane].qualifiedName));
  return keep([`{${request.batchId}}`, ...used], () => takeIn(parts, request));
}

/**
 * Record, jobs, mark: in this order, so that a request that dies on the way leaves packs that discard
 * themselves. Ids are the caller's, so the whole can be repeated: files that a job has already stay with it.
 */
async function takeIn(parts: AcceptParts, request: AcceptRequest): Promise<AcceptedBatch> {
  const { batchId, entity, packs, createdBy: owner, createdAt } = request;
  const files = packs.flatMap((pack) => pack.files);
  const keys = [`${parts.prefix}:accepted-seq`, openBatchesKey(parts.prefix)];
  const firstSeq = Number(await takeSequence(parts.redis, keys, [files.length, batchId, createdAt]));
  const facts = { batchId, entity, owner, total: files.length, size: sizeOf(files), createdAt, firstSeq };
  const state = packs.length > 1 ? 'accepting' : 'accepted';
  const opened = await parts.batches.open({ ...facts, packs: packs.length }, state);
  const there = opened.known ? await findJobs(parts.lanes, batchId, opened) : [];
  const rest = lackingIn(there, numbered(packs, opened.firstSeq));
  const first = there.length === 0 ? 0 : opened.packs;
  if (first > 0 && rest.length > 0) await parts.batches.open({ ...facts, packs: first + rest.length }, state);
  const added = rest.map(({ lane, files }, index): AcceptedJob => {
    return { jobId: packJobId(batchId, opened.round, first + index), lane, size: sizeOf(files), files };
  });
  try {
    const shared = { ...request, round: opened.round, awaitAcceptance: packs.length > 1 };
    await Promise.all(JOBS.upload.lanes.map((lane) => enqueue(parts, shared, lane, added)));
    if (packs.length > 1 && !(await parts.batches.accept(batchId))) throw new Error('its packs had been given up');
  } catch (cause) {
    throw await givenUp(parts, batchId, opened.round, cause);
  }
  return { batchId, jobs: [...there, ...added] };
}

/** The error of a batch whose jobs may be there in part. `details.mayRun`: nobody could be kept from running them. */
async function givenUp({ batches }: AcceptParts, batchId: string, round: number, cause: unknown): Promise<AppError> {
  const abandoned = await batches.abandon(batchId, round).catch(() => false);
  if (abandoned) return queueUnavailable(cause);
  const message = 'Redis went away while it took the batch: its files may become ready all the same.';
  return new AppError('QUEUE_UNAVAILABLE', message, { cause, details: { batchId, mayRun: true } });
}

async function enqueue(
  parts: AcceptParts,
  request: AcceptRequest & Pick<Pack, 'round' | 'awaitAcceptance'>,
  lane: Lane,
  all: readonly AcceptedJob[],
): Promise<void> {
  const { batchId, entity, correlationId, createdBy, createdAt, round, awaitAcceptance } = request;
  const jobs = all.filter((job) => job.lane === lane);
  if (jobs.length === 0) return;
  const ranks = await parts.pending.add(lane, entity.project, jobs);
  const bulk = jobs.map(({ jobId, files }, index) => {
    const data: Pack = {
      batchId,
      entity,
      files: [...files],
      awaitAcceptance,
      round,
      commit: request.commit ?? 'each',
      correlationId,
      createdBy,
      createdAt,
    };
    const opts: BulkJobOptions = { ...jobOptions('upload', jobId), priority: ranks[index] ?? 1 };
    return { name: 'upload', data, opts };
  });
  try {
    for (let from = 0; from < bulk.length; from += SLICE)
      await parts.lanes[lane].addBulk(bulk.slice(from, from + SLICE));
  } catch (error) {
    const jobIds = jobs.map(({ jobId }) => jobId);
    await parts.pending.remove(lane, entity.project, jobIds).catch(() => undefined);
    throw error;
  }
}
