import { type ErrorCode, isErrorCode } from '#errors';
import type { RedisConnection } from '#redis/connection.ts';
import { defineScript } from '#redis/script.ts';
import type { Lane } from './catalog.ts';
import { faultKey } from './fingerprint.ts';
import { lanePrefix } from './lanes.ts';

/** A job in a failed set. */
export interface DeadLetter {
  readonly jobId: string;
  readonly lane: Lane;
  /** Name of the job. */
  readonly job: string;
  /** Milliseconds since the epoch. */
  readonly failedAt: number;
  readonly code: ErrorCode;
  readonly message: string;
  /** Its place in the failed set when it was read by age, 0 being the oldest. */
  readonly rank: number;
  /** What it keeps of Redis' memory, its facts included. */
  readonly bytes: number;
  /** The same for every dead letter of its group. */
  readonly fault: string;
}

/** Dead letters of a lane, and where the next page begins; undefined after the last. */
export interface Page {
  readonly letters: DeadLetter[];
  readonly next: number | undefined;
}

/** Read in one step, which blocks Redis for a few milliseconds. */
const PAGE = 1_000;
const VALUES_A_ROW = 5;

/** Key of a lane's failed set, and what its jobs' keys begin with. */
export const failedKey = (prefix: string, lane: Lane): string => `${lanePrefix(prefix, lane)}:${lane}:failed`;
const jobPrefix = (prefix: string, lane: Lane): string => `${lanePrefix(prefix, lane)}:${lane}:`;

/**
 * Rows of small fields only: data of a pack may be large, and 100,000 of them more than a process holds. Reasons are cut:
 * what tells faults apart stands at their start.
 */
const ROWS = `
  local function add(rows, keys, id, score)
    local key = keys .. id
    local name, reason = unpack(redis.call('HMGET', key, 'name', 'failedReason'))
    local bytes = (redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) or 0)
      + (redis.call('MEMORY', 'USAGE', key .. ':facts', 'SAMPLES', 20) or 0)
    for _, value in ipairs({ id, score, name or '', string.sub(reason or '', 1, 500), bytes }) do
      rows[#rows + 1] = value
    end
  end
`;

/** KEYS failed; ARGV highest rank or '', failedBy, most, prefix of jobs. Answers the lowest rank it read, then rows. */
const newestScript = defineScript(`${ROWS}
  local top = redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[2]) - 1
  if ARGV[1] ~= '' then top = math.min(top, tonumber(ARGV[1])) end
  if top < 0 then return { 0 } end
  local bottom = math.max(0, top - tonumber(ARGV[3]) + 1)
  local rows = { bottom }
  local ids = redis.call('ZRANGE', KEYS[1], bottom, top, 'WITHSCORES')
  for at = #ids - 1, 1, -2 do add(rows, ARGV[4], ids[at], ids[at + 1]) end
  return rows
`);

/** KEYS failed; ARGV failedBy, prefix of jobs, then ids. */
const namedScript = defineScript(`${ROWS}
  local rows = {}
  for at = 3, #ARGV do
    local score = redis.call('ZSCORE', KEYS[1], ARGV[at])
    if score and tonumber(score) <= tonumber(ARGV[1]) then add(rows, ARGV[2], ARGV[at], score) end
  end
  return rows
`);

/**
 * The newest dead letters of a lane that failed by `failedBy`, from rank `from` down. From the newest on, since what
 * leaves the set meanwhile only moves others to ranks that are still to come: none is missed.
 */
export async function readNewest(
  redis: RedisConnection,
  prefix: string,
  lane: Lane,
  { failedBy, from }: { failedBy: number; from: number | undefined },
): Promise<Page> {
  const args = [from ?? '', failedBy, PAGE, jobPrefix(prefix, lane)];
  const [lowest, ...rows] = (await newestScript(redis, [failedKey(prefix, lane)], args)) as [number, ...string[]];
  const highest = lowest + rows.length / VALUES_A_ROW - 1;
  return { letters: lettersOf(lane, rows, highest), next: lowest > 0 ? lowest - 1 : undefined };
}

/** Those of `jobIds` that are dead letters of the lane and failed by `failedBy`, from the id at `from` on. */
export async function readNamed(
  redis: RedisConnection,
  prefix: string,
  lane: Lane,
  { failedBy, jobIds, from = 0 }: { failedBy: number; jobIds: readonly string[]; from: number | undefined },
): Promise<Page> {
  const args = [failedBy, jobPrefix(prefix, lane), ...jobIds.slice(from, from + PAGE)];
  const rows = (await namedScript(redis, [failedKey(prefix, lane)], args)) as string[];
  return { letters: lettersOf(lane, rows), next: from + PAGE < jobIds.length ? from + PAGE : undefined };
}

function lettersOf(lane: Lane, rows: readonly (string | number)[], highest = 0): DeadLetter[] {
  return Array.from({ length: rows.length / VALUES_A_ROW }, (_, index) => {
    const [jobId, failedAt, job, reason, bytes] = rows.slice(index * VALUES_A_ROW, (index + 1) * VALUES_A_ROW);
    const { code, message } = readReason(String(reason));
    const fault = faultKey({ code, job: String(job), message });
    return {
      ...{ jobId: String(jobId), lane, job: String(job), failedAt: Number(failedAt), code, message },
      ...{ bytes: Number(bytes), rank: highest - index, fault },
    };
  });
}

/** The worker writes `CODE: message`; anything else was written by BullMQ. */
function readReason(reason: string): { code: ErrorCode; message: string } {
  const [, code, message = ''] = /^([A-Z_]+): (.*)$/s.exec(reason) ?? [];
  return isErrorCode(code) ? { code, message } : { code: 'INTERNAL', message: reason };
}
