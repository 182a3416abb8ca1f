/**
 * docs/failures.md: what each dependency can say, and what becomes of it, made from the tables that the adapters judge by.
 *   node scripts/failures.ts    writes it between its markers
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { classOf, type FailureRow } from '#errors';
import { CONVEX_FAILURES, CONVEX_STATUSES } from '#metadata/convex-failures.ts';
import { REDIS_FAILURES } from '#queues/redis-failures.ts';
import { DISK_FAILURES } from '#storage/disk-errors.ts';
import { S3_FAILURES, S3_STATUSES } from '#storage/s3-failures.ts';
import { markdownTable, putBetween } from './between-markers.ts';

export const FAILURES = new URL('../docs/failures.md', import.meta.url);

/** The tables by what speaks, in the order of the page. */
const TABLES: readonly [title: string, rows: readonly FailureRow[], rest: FailureRow][] = [
  [
    'The store: S3, its imitators, the SDK and the network',
    [...S3_FAILURES, ...S3_STATUSES],
    rest('STORE_FAILED', 'Nobody knows. Any other status from 500 on is `STORE_UNAVAILABLE`.'),
  ],
  ['The store on disk', DISK_FAILURES, rest('STORE_FAILED', 'Nobody knows.')],
  ['Redis, ioredis and BullMQ', REDIS_FAILURES, rest('INTERNAL', 'A fault of ours.')],
  ['Convex: its answer', CONVEX_STATUSES, rest('METADATA_UNAVAILABLE', 'It is no verdict on the call.')],
  ['Convex: what a function threw', CONVEX_FAILURES, rest('METADATA_FAILED', 'Nobody knows.')],
];

function rest(code: FailureRow['code'], why: string): FailureRow {
  return { code, why, says: ['anything else'] };
}

/** The page with its tables as they should be. */
export function withFailures(page: string): string {
  const tables = TABLES.map(([title, rows, others]) => {
    const lines = [...rows, others].map(({ code, why, says }) => [
      classOf(code),
      `\`${code}\``,
      says.map(shown).join(', '),
      why,
    ]);
    return `\n## ${title}\n\n${markdownTable(['class', 'code', 'what is said', 'why'], lines)}`;
  });
  return putBetween(page, 'failures', tables.join(''));
}

function shown(said: string | RegExp): string {
  return `\`${(said instanceof RegExp ? said.source : said).replaceAll('|', '\\|')}\``;
}

if (import.meta.main) writeFileSync(FAILURES, withFailures(readFileSync(FAILURES, 'utf8')));
