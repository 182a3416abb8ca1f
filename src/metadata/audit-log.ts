import { z } from 'zod';
import { AppError } from '#errors';
import { queueUnavailable, type RedisConnection } from '#redis/connection.ts';
import { createFlushLoop, type FlushLoop } from './flush-loop.ts';
import { sendAllButCulprits } from './halving.ts';
import type { AuditEntry, Metadata } from './metadata.ts';

/** What is to be said of a deed. */
export interface Deed extends Omit<AuditEntry, 'entryId' | 'at' | 'details'> {
  /** For a step that can run twice: the same id makes the same entry. Random when left out. */
  readonly entryId?: string | undefined;
  readonly details?: AuditEntry['details'] | undefined;
}

/**
 * The way into the audit. Entries wait in Redis, so that they outlive the process and Convex being away, and come to
 * Convex in their order, each once; any number of processes record and flush at once.
 */
export interface AuditLog extends FlushLoop {
  /**
   * Resolved means Redis has the entry on disk: then go on. Throws `QUEUE_UNAVAILABLE` when Redis did not say so, and
   * `VALIDATION_FAILED` for details beyond 64 KiB of JSON.
   */
  record(deed: Deed): Promise<void>;
  /** Entries that wait. */
  size(): Promise<number>;
  /** Sends what waits until nothing does. Throws `METADATA_UNAVAILABLE` or `METADATA_REJECTED`; what is unsent stays. */
  flush(): Promise<void>;
}

interface AuditLogOptions {
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly metadata: Pick<Metadata, 'appendAudit'>;
  readonly clock: () => number;
  readonly newId: () => string;
  /** Told why a flush of the loop failed. */
  readonly onError: (error: unknown) => void;
  /** Given each entry that Convex refuses while it takes others: it is nowhere else any more. */
  readonly onRefused: (entry: AuditEntry, refusal: AppError) => void;
}

const json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue({ code: 'custom', message: 'Must be JSON.' });
    return z.NEVER;
  }
});
const waitingEntry = json.pipe(
  z.object({
    entryId: z.string(),
    at: z.number(),
    actor: z.object({ kind: z.enum(['agent', 'viewer', 'admin', 'service']), id: z.string() }),
    action: z.string(),
    target: z.string(),
    project: z.string().optional(),
    details: z.record(z.string(), z.unknown()),
    correlationId: z.string(),
  }),
);

/** Entries of one mutation: 200 with the most details stay below the 16 MiB of Convex's arguments. */
const SLICE = 200;
const MOST_DETAILS = 64 * 1024;
const INTERVAL = 1_000;

/**
 * The audit's way under `prefix`: a stream, since its entries have ids of their own. Two that flush at once send the
 * same entries, which Convex takes once, and neither deletes what it has not sent. It sends nothing before `start`.
 */
export function createAuditLog(options: AuditLogOptions): AuditLog {
  const { redis, prefix, metadata, clock, newId, onError, onRefused } = options;
  const key = `${prefix}:audit`;

  /** Sends the oldest slice; false when nothing waited. */
  async function flushSlice(): Promise<boolean> {
    const waiting = await redis.xrange(key, '-', '+', 'COUNT', SLICE);
    if (waiting.length === 0) return false;
    const entries = waiting.flatMap(([, [, text = '']]) => read(text));
    await sendAllButCulprits(entries, (some) => metadata.appendAudit(some), onRefused);
    await redis.xdel(key, ...waiting.map(([id]) => id));
    return true;
  }

  /** An entry as it waits; one of another version is told of and let go, or the others would wait behind it for ever. */
  function read(text: string): AuditEntry[] {
    const parsed = waitingEntry.safeParse(text);
    if (parsed.success) return [parsed.data];
    onError(new AppError('INTERNAL', `An audit entry cannot be read, and is dropped: ${text}`));
    return [];
  }

  async function flush(): Promise<void> {
    while (await flushSlice());
  }

  return {
    async record({ entryId = newId(), details = {}, ...deed }) {
      const bytes = Buffer.byteLength(JSON.stringify(details));
      if (bytes > MOST_DETAILS) {
        throw new AppError('VALIDATION_FAILED', `Details of an audit entry have ${bytes} bytes; 65,536 is the most.`);
      }
      const entry: AuditEntry = { ...deed, entryId, at: clock(), details };
      await redis.xadd(key, '*', 'entry', JSON.stringify(entry)).catch((error: unknown) => {
        throw queueUnavailable(error);
      });
    },
    size: () => redis.xlen(key),
    flush,
    ...createFlushLoop({ flush, intervalMs: INTERVAL, onError }),
  };
}
