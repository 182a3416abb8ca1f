import { createHash } from 'node:crypto';
import { justAfter, type Key } from '#local/convex/storage/index-key.ts';
import { DocumentStream, type Plan } from './query.ts';
import type { Transaction } from './transaction.ts';
import { TooMuchRead } from './usage.ts';

export interface PageRequest {
  readonly cursor: string | null;
  readonly endCursor: string | null;
  readonly pageSize: number;
  readonly maximumRowsRead: number | null;
}

/** A page as the syscall answers it; `page` holds the documents' JSON texts. */
export interface Page {
  readonly page: readonly string[];
  readonly isDone: boolean;
  readonly continueCursor: string;
  readonly splitCursor: string | null;
  readonly pageStatus: 'SplitRequired' | null;
}

/** Stands for the end of a range in a cursor. */
const END = '';

/**
 * Reads a page: from `cursor` (null: the start) up to `endCursor` when there is one, else `pageSize`
 * documents. Throws `InvalidCursor` for a cursor of another query.
 */
export function readPage(transaction: Transaction, plan: Plan, request: PageRequest): Page {
  const { pageSize, maximumRowsRead } = request;
  // An empty cursor continues a page that took nothing from the start.
  const from = request.cursor ? decodeCursor(plan, request.cursor) : undefined;
  const to = request.endCursor ? decodeCursor(plan, request.endCursor) : undefined;
  const stream = new DocumentStream(transaction, between(plan, from, to), to === undefined ? pageSize : undefined);
  const page: string[] = [];
  const positions: Key[] = [];
  const full = () => to === undefined && (page.length >= pageSize || stream.looked >= (maximumRowsRead ?? Infinity));
  let stopped: 'end' | 'limit' | undefined;
  while (!stopped && !full()) {
    const text = lookWithin(stream);
    if (typeof text === 'symbol') stopped = 'limit';
    else if (text === undefined) stopped = 'end';
    else if (text !== '') {
      page.push(text);
      positions.push(stream.position ?? END);
    }
  }
  const reached = stopped === 'limit' ? stream.position : (to ?? (stopped ? END : (stream.position ?? from)));
  const middle = positions[(positions.length >> 1) - 1];
  return {
    page,
    isDone: reached === END,
    continueCursor: reached === undefined ? '' : encodeCursor(plan, reached),
    splitCursor: middle === undefined ? null : encodeCursor(plan, middle),
    pageStatus:
      stopped === 'limit' || (!stopped && page.length < pageSize && to === undefined) ? 'SplitRequired' : null,
  };
}

const LIMIT = Symbol('the limit of what may be read');

/** The next document. At its limit a transaction that looked at some answers with them, instead of failing. */
function lookWithin(stream: DocumentStream): string | typeof LIMIT | undefined {
  try {
    return stream.look();
  } catch (error) {
    if (error instanceof TooMuchRead && stream.looked > 0) return LIMIT;
    throw error;
  }
}

/** The plan narrowed to what lies after `from`, up to and with `to`. */
function between(plan: Plan, from: Key | undefined, to: Key | undefined): Plan {
  let { lower, upper } = plan.range;
  if (plan.descending) {
    if (from !== undefined) upper = from === END ? lower : from;
    if (to !== undefined && to !== END) lower = to;
  } else {
    if (from !== undefined) lower = from === END ? upper : justAfter(from);
    if (to !== undefined && to !== END) upper = justAfter(to);
  }
  return { ...plan, range: lower > upper ? { lower, upper: lower } : { lower, upper } };
}

function fingerprint(plan: Plan): string {
  const { range, descending, operators } = plan;
  const facts = JSON.stringify([range.lower, range.upper, descending, operators]);
  return createHash('sha256').update(facts).digest('base64url').slice(0, 8);
}

function encodeCursor(plan: Plan, position: Key): string {
  return fingerprint(plan) + Buffer.from(position, 'latin1').toString('base64url');
}

function decodeCursor(plan: Plan, cursor: string): Key {
  if (cursor.slice(0, 8) !== fingerprint(plan)) {
    throw new Error(
      'InvalidCursor: Tried to run a query starting from a cursor, but it looks like this cursor is from a different query.',
    );
  }
  return Buffer.from(cursor.slice(8), 'base64url').toString('latin1');
}
