import {
  type DeadLetterPage,
  type DiscardRun,
  deadLetters,
  discardRun,
  type LetterGroup,
  type LettersPlanned,
  letterGroups,
  lettersPlanned,
  type ReplayRun,
  replayRun,
} from '#answers';
import { json } from './json.ts';
import type { CallOptions } from './retry.ts';
import type { Transport } from './transport.ts';

/** Which dead letters are meant: those that everything given names; every one only when `all` says so, alone. */
export interface ChosenLetters {
  readonly fingerprint?: string | undefined;
  /** At most 500. */
  readonly jobIds?: readonly string[] | undefined;
  /** Those that failed at least so many seconds ago. */
  readonly olderThan?: number | undefined;
  readonly all?: true | undefined;
}

/** What failed for good; for keys with the scope `admin` in all projects. */
export interface DeadLetterCalls {
  /** By their reasons, the largest group first. */
  groups(options?: CallOptions): Promise<LetterGroup[]>;
  /** Those of one group; `cursor` is `next` of the page before. */
  list(
    fingerprint: string,
    options?: CallOptions & { cursor?: string | undefined; limit?: number | undefined },
  ): Promise<DeadLetterPage>;
  /** What a replay or a discard would be about; nothing is done. */
  plan(chosen: ChosenLetters, options?: CallOptions): Promise<LettersPlanned>;
  /** Has workers take them again, `perSecond` of them (50). Resolves when the replay is certain to come about. */
  replay(chosen: ChosenLetters & { perSecond?: number | undefined }, options?: CallOptions): Promise<ReplayRun>;
  getReplay(jobId: string, options?: CallOptions): Promise<ReplayRun>;
  /** Removes them for good; `reason` is for the audit. Resolves when the discard is certain to come about. */
  discard(chosen: ChosenLetters & { reason: string }, options?: CallOptions): Promise<DiscardRun>;
  getDiscard(jobId: string, options?: CallOptions): Promise<DiscardRun>;
}

const PATH = '/v1/admin/dead-letters';

export function createDeadLetterCalls({ read }: Pick<Transport, 'read'>): DeadLetterCalls {
  return {
    groups: async (call) => (await read(PATH, letterGroups, {}, call)).groups,
    list(fingerprint, { cursor, limit, ...call } = {}) {
      const query = new URLSearchParams({ fingerprint });
      if (cursor !== undefined) query.set('cursor', cursor);
      if (limit !== undefined) query.set('limit', String(limit));
      return read(`${PATH}?${query}`, deadLetters, {}, call);
    },
    plan: (chosen, call) => read(`${PATH}/replay`, lettersPlanned, json({ ...chosen, dryRun: true }), call),
    replay: (chosen, call) => read(`${PATH}/replay`, replayRun, json(chosen), call),
    getReplay: (jobId, call) => read(`${PATH}/replays/${encodeURIComponent(jobId)}`, replayRun, {}, call),
    discard: (chosen, call) => read(PATH, discardRun, { ...json(chosen), method: 'DELETE' }, call),
    getDiscard: (jobId, call) => read(`${PATH}/discards/${encodeURIComponent(jobId)}`, discardRun, {}, call),
  };
}
