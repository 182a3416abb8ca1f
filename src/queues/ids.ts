import { createHash, randomBytes } from 'node:crypto';

/** Gives `length` random bytes; `randomBytes` outside tests. */
export type RandomBytes = (length: number) => Buffer;

/** 120 bits in letters, digits, `-` and `_`: fits a URL, a Redis key and a job id as it is. */
function randomName(random: RandomBytes): string {
  return random(15).toString('base64url');
}

/** The asset of a batch's `index`-th file: a batch taken in twice names its assets alike. */
export function assetIdOf(batchId: string, index: number): string {
  return `a_${createHash('sha256').update(`${batchId}/${index}`).digest().subarray(0, 15).toString('base64url')}`;
}
export const newBatchId = (random: RandomBytes = randomBytes): string => `b_${randomName(random)}`;

/** A replay or a discard, whose id says which. */
export const letterRunId = (name: 'replay' | 'discard', random: RandomBytes = randomBytes): string =>
  `${name}-${randomName(random)}`;

export const newReconcileId = (random: RandomBytes = randomBytes): string => `r_${randomName(random)}`;

/** Job of the `index`-th pack of a round of a batch. BullMQ refuses `:` and plain integers in job ids. */
export const packJobId = (batchId: string, round: number, index: number): string =>
  round === 0 ? `${batchId}-${index}` : `${batchId}-${index}-again${round}`;
/** Job that closes a batch; `replay` names one that follows a start of a replayed pack. */
export const endJobId = (batchId: string, replay?: string): string =>
  replay === undefined ? `${batchId}-end` : `${batchId}-end-${replay}`;

/** What the recounts of a session have in common. */
export const recountId = (project: string, session: string): string =>
  `recount-${createHash('sha256')
    .update(JSON.stringify([project, session]))
    .digest('base64url')}`;
