import type { JSONValue } from 'convex/values';
import { type DocumentJson, parseDocument } from '#local/convex/database/documents.ts';
import type { Transaction } from '#local/convex/database/transaction.ts';
import { encodeValue, type KeyRange, pastPrefix } from '#local/convex/storage/index-key.ts';
import type { Reader } from '#local/convex/storage/storage.ts';
import { documentKey, type Index, idOfKey, type Table } from '#local/convex/storage/tables.ts';

/** A function whose time has come. Times are milliseconds since the epoch. */
export interface Work {
  readonly id: string;
  readonly path: string;
  readonly args: JSONValue;
  /** Set for what `ctx.scheduler` scheduled. */
  readonly scheduledId?: string;
}

/** Where work waits for its time. */
export interface WorkSource {
  /** What waits and is due, earliest first. */
  due(reader: Reader, now: number, limit: number): Work[];
  /** When the next is due that is not yet; undefined when nothing waits. */
  nextTime(reader: Reader, now: number): number | undefined;
  /** Work that an engine began and did not live to finish. */
  begun(reader: Reader): Work[];
  /** Marks work as begun; false when it is not wanted any more. */
  begin(transaction: Transaction, work: Work): boolean;
  /** Notes how it ended: `failure` is what it threw. */
  finish(transaction: Transaction, work: Work, now: number, failure?: string): void;
  /** True for an index range that a commit writes when work is added. */
  readonly waiting: KeyRange;
}

/** Documents of an index on (state, time) that are in `state`, up to the time `until`, earliest first. */
export function documentsIn(
  reader: Reader,
  { table, index, state }: { table: Table; index: Index; state: string },
  { until = Infinity, limit }: { until?: number; limit: number },
): DocumentJson[] {
  const { lower, upper } = stateRange(index, state);
  const end = until === Infinity ? upper : pastPrefix(lower + encodeValue(until));
  return reader.keys({ lower, upper: end }, false, limit).map((key) => {
    return parseDocument(reader.get(documentKey(table, idOfKey(key))) ?? '');
  });
}

/** The first document in `state` after the time `after`. */
export function firstAfter(
  reader: Reader,
  { table, index, state }: { table: Table; index: Index; state: string },
  after: number,
): DocumentJson | undefined {
  const { lower, upper } = stateRange(index, state);
  const [key] = reader.keys({ lower: pastPrefix(lower + encodeValue(after)), upper }, false, 1);
  return key === undefined ? undefined : parseDocument(reader.get(documentKey(table, idOfKey(key))) ?? '');
}

/** Where documents in `state` stand in an index on (state, time). */
export function stateRange(index: Index, state: string): KeyRange {
  const lower = index.prefix + encodeValue(state);
  return { lower, upper: pastPrefix(lower) };
}
