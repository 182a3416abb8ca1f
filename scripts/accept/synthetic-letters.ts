import { lanePrefix } from '#queues/lanes.ts';
import type { RedisConnection } from '#redis/connection.ts';

const SLICE = 1_000;
const CODES = ['ORIGIN_NOT_FOUND', 'CHECKSUM_MISMATCH', 'STORE_REJECTED', 'METADATA_REJECTED', 'TIMED_OUT'];
const FAULTS = [
  (n: number) => `The file /srv/films/${n}/clip-${n}.mp4 cannot be read: ENOENT.`,
  (n: number) => `3 of 50 files failed; take ${n}.mp4: The origin ended after ${n} of ${n * 3} bytes.`,
  (n: number) => `The store refused https://films.example/${n}?part=${n % 7} with request id ${n.toString(16)}ab${n}.`,
  (n: number) => `The scene "scene ${n}" does not take this asset.`,
];

/**
 * Writes so many failed upload jobs into lane `small`, field for field as BullMQ 6.7 leaves one behind (moveToFinished),
 * in 20 groups and with a pack's data of 2 KB.
 */
export async function writeSyntheticLetters(redis: RedisConnection, prefix: string, count: number): Promise<void> {
  const keys = `${lanePrefix(prefix, 'small')}:small:`;
  const now = Date.now();
  const data = JSON.stringify({ batchId: 'b_synthetic', files: [], padding: 'x'.repeat(2_000) });
  const opts = JSON.stringify({ attempts: 3, backoff: { type: 'catalog' }, removeOnFail: false });
  for (let at = 0; at < count; at += SLICE) {
    const pipeline = redis.pipeline();
    for (let n = at; n < Math.min(count, at + SLICE); n++) {
      const jobId = `b_synthetic-${n}`;
      const reason = `${CODES[n % CODES.length]}: ${FAULTS[Math.floor(n / CODES.length) % FAULTS.length]?.(n)}`;
      const finishedOn = now - count + n;
      pipeline.hset(keys + jobId, {
        ...{ name: 'upload', data, opts, timestamp: finishedOn - 5_000, delay: 0, priority: 1 },
        ...{ processedOn: finishedOn - 10, atm: 1, ats: 1, failedReason: reason, finishedOn },
        stacktrace: JSON.stringify([`UnrecoverableError: ${reason}\n    at settle (src/processors/settling.ts:40:9)`]),
      });
      pipeline.zadd(`${keys}failed`, finishedOn, jobId);
    }
    await pipeline.exec();
  }
}
