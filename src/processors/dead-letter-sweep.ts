import type { AuditLog } from '#metadata/audit-log.ts';
import { type DeadLetters, summaryOf } from '#queues/dead-letters.ts';
import { type DiscardPorts, discardLetters } from './discard-letters.ts';
import type { Processor } from './run.ts';

interface SweepPorts extends DiscardPorts {
  readonly deadLetters: DeadLetters;
  readonly audit: Pick<AuditLog, 'record'>;
  /** How long and how many bytes of dead letters are kept. */
  readonly caps: { readonly ageMs: number; readonly bytes: number };
  readonly now: () => number;
}

/** Discards the oldest dead letters, as far as they are older or more than is kept; what goes is in the audit before. */
export function deadLetterSweepProcessor(ports: SweepPorts): Processor<'dead-letter-sweep'> {
  return async (_data, run) => {
    const failedBy = await beyond(ports);
    const groups = await ports.deadLetters.groups({ failedBy });
    if (groups.length > 0) {
      await ports.audit.record({
        entryId: `dead-letters.sweep:${run.jobId}:${run.starts}`,
        actor: { kind: 'service', id: 'dead-letter-sweep' },
        action: 'dead-letters.sweep',
        target: 'dead letters',
        details: { failedBy, caps: ports.caps, ...summaryOf(groups) },
        correlationId: run.jobId,
      });
    }
    await discardLetters(ports, { failedBy }, run);
    return { end: 'done' };
  };
}

/** What failed at this time or before is too old, or beyond the bytes that are kept when the newest come first. */
async function beyond({ deadLetters, caps, now }: SweepPorts): Promise<number> {
  const tooOld = now() - caps.ageMs;
  const all: [failedAt: number, bytes: number][] = [];
  for await (const { letters } of deadLetters.pages({ failedBy: now() })) {
    for (const { failedAt, bytes } of letters) all.push([failedAt, bytes]);
  }
  let bytes = 0;
  const tooMany = all
    .toSorted(([a], [b]) => b - a)
    .find(([, own]) => {
      bytes += own;
      return bytes > caps.bytes;
    });
  return Math.max(tooOld, tooMany?.[0] ?? 0);
}
