import type { JSONValue } from 'convex/values';
import { encodeValue, type Key, type KeyRange, pastPrefix } from '#local/convex/storage/index-key.ts';
import { documentKey, type Index, idOfKey, indexRange, type Table, type Tables } from '#local/convex/storage/tables.ts';
import { parseDocument } from './documents.ts';
import { matches } from './filter.ts';
import { Scan } from './scan.ts';
import type { Transaction } from './transaction.ts';

interface RangeBound {
  readonly type: 'Eq' | 'Gt' | 'Gte' | 'Lt' | 'Lte';
  readonly fieldPath: string;
  readonly value: JSONValue;
}

/** A query as `convex/server` serializes it. */
export interface QueryJson {
  readonly source:
    | { readonly type: 'FullTableScan'; readonly tableName: string; readonly order: 'asc' | 'desc' | null }
    | {
        readonly type: 'IndexRange';
        readonly indexName: string;
        readonly range: readonly RangeBound[];
        readonly order: 'asc' | 'desc' | null;
      }
    | { readonly type: 'Search'; readonly indexName: string };
  readonly operators: readonly ({ readonly filter: JSONValue } | { readonly limit: number })[];
}

/** A query resolved to keys. */
export interface Plan {
  readonly table: Table;
  readonly range: KeyRange;
  readonly descending: boolean;
  readonly operators: QueryJson['operators'];
}

/** Throws when the index does not exist, or the range does not follow its fields. */
export function planQuery({ source, operators }: QueryJson, tables: Tables): Plan {
  if (source.type === 'Search') throw new Error('Search indexes are not supported by this engine.');
  const descending = source.order === 'desc';
  if (source.type === 'FullTableScan') {
    const table = tables.table(source.tableName);
    return { table, range: indexRange(table.byCreationTime), descending, operators };
  }
  const dot = source.indexName.indexOf('.');
  const table = tables.table(source.indexName.slice(0, dot));
  const index = table.indexes.get(source.indexName.slice(dot + 1));
  if (!index) throw new Error(`Index ${source.indexName} not found.`);
  return { table, range: boundsOf(index, source.range, source.indexName), descending, operators };
}

function boundsOf(index: Index, bounds: readonly RangeBound[], indexName: string): KeyRange {
  let prefix = index.prefix;
  let at = 0;
  for (const bound of bounds) {
    if (bound.type !== 'Eq') break;
    if (bound.fieldPath !== index.fields[at]) throw misordered(index, indexName, bound);
    prefix += encodeValue(literal(bound.value));
    at++;
  }
  const range = { lower: prefix, upper: pastPrefix(prefix) };
  let lowerSet = false;
  let upperSet = false;
  for (const bound of bounds.slice(at)) {
    const below = bound.type === 'Lt' || bound.type === 'Lte';
    if (bound.type === 'Eq' || bound.fieldPath !== index.fields[at] || (below ? upperSet : lowerSet)) {
      throw misordered(index, indexName, bound);
    }
    const key = prefix + encodeValue(literal(bound.value));
    const edge = bound.type === 'Gt' || bound.type === 'Lte' ? pastPrefix(key) : key;
    if (below) range.upper = edge;
    else range.lower = edge;
    if (below) upperSet = true;
    else lowerSet = true;
  }
  // Bounds that exclude each other make an empty range.
  return range.lower > range.upper ? { lower: range.lower, upper: range.lower } : range;
}

function misordered(index: Index, indexName: string, { type, fieldPath }: RangeBound): Error {
  return new Error(
    `Tried to query index ${indexName} but the query didn't use the index fields in order: \`${type.toLowerCase()}("${fieldPath}")\` does not fit the fields [${index.fields.join(', ')}].`,
  );
}

function literal(value: JSONValue): JSONValue | undefined {
  return typeof value === 'object' && value !== null && '$undefined' in value ? undefined : value;
}

/** The documents of a plan, one at a time, with filters and limits applied. */
export class DocumentStream {
  /** Key of the last document looked at, matching or not. */
  position: Key | undefined;
  /** Documents looked at. */
  looked = 0;
  readonly #transaction: Transaction;
  readonly #plan: Plan;
  readonly #scan: Scan;
  readonly #left: number[];
  readonly #holdsDocuments: boolean;

  constructor(transaction: Transaction, plan: Plan, expected?: number) {
    this.#transaction = transaction;
    this.#plan = plan;
    if (!plan.table.isSystem) transaction.usage.query();
    this.#left = plan.operators.map((operator) => ('limit' in operator ? operator.limit : 0));
    const firstLimit = plan.operators.every((operator) => 'limit' in operator) ? this.#left[0] : undefined;
    this.#scan = new Scan(transaction, plan.range, plan.descending, expected ?? firstLimit);
    this.#holdsDocuments = plan.range.lower.startsWith(plan.table.byId.prefix);
  }

  /** JSON text of the next document, undefined at the end. */
  next(): string | undefined {
    for (;;) {
      if (this.#plan.operators.some((operator, at) => 'limit' in operator && (this.#left[at] ?? 0) <= 0)) {
        return undefined;
      }
      const text = this.look();
      if (text === undefined || text !== '') return text;
    }
  }

  /** Looks at one document: its text, '' when filtered out, undefined at the end. */
  look(): string | undefined {
    const key = this.#scan.next();
    if (key === undefined) return undefined;
    const at = this.#holdsDocuments ? key : documentKey(this.#plan.table, idOfKey(key));
    const text = this.#transaction.get(at);
    if (text === undefined) throw new Error(`An index of table ${this.#plan.table.name} points to no document.`);
    if (!this.#plan.table.isSystem) this.#transaction.usage.read(text);
    this.position = key;
    this.looked++;
    return this.#passes(text) ? text : '';
  }

  #passes(text: string): boolean {
    const { operators } = this.#plan;
    if (operators.length === 0) return true;
    const document = operators.some((operator) => 'filter' in operator) ? parseDocument(text) : undefined;
    for (const [at, operator] of operators.entries()) {
      if ('limit' in operator) this.#left[at] = (this.#left[at] ?? 0) - 1;
      else if (document && !matches(operator.filter, document)) return false;
    }
    return true;
  }
}
