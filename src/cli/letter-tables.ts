import type { DeadLetter, LetterGroup } from '#client/node.ts';
import { sizeText, table } from './output.ts';

/** Groups as a table, each with its example and what to do below. */
export function groupsText(groups: readonly LetterGroup[]): string {
  if (groups.length === 0) return 'There is no dead letter.';
  const rows = groups.map(({ fingerprint, code, job, lanes, count, bytes, firstSeen, lastSeen }) => [
    ...[fingerprint, code, job, lanes.join(' '), count.toLocaleString('en'), sizeText(bytes)],
    ...[timeText(firstSeen), timeText(lastSeen)],
  ]);
  const heading = ['FINGERPRINT', 'CODE', 'JOB', 'LANES', 'COUNT', 'SIZE', 'FIRST', 'LAST'];
  const examples = groups.map(({ fingerprint, example, nextAction }) => {
    return `${fingerprint} ${example.jobId}\n  ${example.message}\n    ${nextAction}`;
  });
  return [table([heading, ...rows]), ...examples].join('\n');
}

/** Dead letters of one group. */
export function lettersText(letters: readonly DeadLetter[], hasMore: boolean): string {
  if (letters.length === 0) return 'There is no dead letter of this group.';
  const rows = letters.map(({ jobId, lane, failedAt, error }) => [jobId, lane, timeText(failedAt), error.message]);
  const more = hasMore ? ['There are more: --limit.'] : [];
  return [table([['JOB', 'LANE', 'FAILED', 'ERROR'], ...rows]), ...more].join('\n');
}

const timeText = (at: number) => new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');
