import type { AuditLog } from '#metadata/audit-log.ts';
import { createDeadLetters } from '#queues/dead-letters.ts';
import { createDiscards } from '#queues/discards.ts';
import type { Lanes } from '#queues/lanes.ts';
import type { PendingPacks } from '#queues/pending-packs.ts';
import type { RedisConnection } from '#redis/connection.ts';
import { deadLetterSweepProcessor } from './dead-letter-sweep.ts';
import { discardProcessor } from './discard.ts';
import type { DiscardPorts } from './discard-letters.ts';
import { replayProcessor } from './replay.ts';
import type { Processors } from './run.ts';

interface LetterPorts extends Pick<DiscardPorts, 'store' | 'log'> {
  readonly redis: RedisConnection;
  readonly prefix: string;
  readonly lanes: Lanes;
  readonly pending: PendingPacks;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly caps: { readonly ageMs: number; readonly bytes: number };
}

/** What is done about dead letters. */
export function letterProcessors({
  redis,
  prefix,
  lanes,
  pending,
  ...ports
}: LetterPorts): Pick<Processors, 'replay' | 'discard' | 'dead-letter-sweep'> {
  const deadLetters = createDeadLetters(redis, prefix, lanes);
  const discarding = { ...ports, deadLetters, discards: createDiscards(redis, prefix, { lanes, pending }) };
  return {
    replay: replayProcessor({ deadLetters, monotonic: () => performance.now() }),
    discard: discardProcessor(discarding),
    'dead-letter-sweep': deadLetterSweepProcessor({ ...discarding, now: Date.now }),
  };
}
