import type { JSONValue } from 'convex/values';
import { type DocumentJson, type Documents, parseDocument } from '#local/convex/database/documents.ts';
import { BY_COMPLETED, BY_STATE, SCHEDULED_FUNCTIONS } from '#local/convex/database/system-tables.ts';
import type { Transaction } from '#local/convex/database/transaction.ts';
import { printed } from '#local/convex/functions/function-checks.ts';
import { canonicalPath, type Functions } from '#local/convex/functions/functions.ts';
import { encodeValue, type KeyRange } from '#local/convex/storage/index-key.ts';
import type { Reader } from '#local/convex/storage/storage.ts';
import { documentKey, type Index, idOfKey, type Table, type Tables } from '#local/convex/storage/tables.ts';
import { measure } from '#local/convex/values/measure.ts';
import { documentsIn, firstAfter, stateRange, type Work, type WorkSource } from './work.ts';

const FARTHEST_MS = 5 * 366 * 24 * 3_600_000;
/** Ended ones are kept this long, as Convex does; some older go with each that ends. */
const KEPT_MS = 7 * 24 * 3_600_000;
const PRUNED_AT_ONCE = 4;

/** What to run and when. `by` is the scheduled function that asks for it. */
export interface Order {
  readonly path: string;
  readonly args: JSONValue;
  readonly time: number;
  readonly by?: string | undefined;
}

/** What `ctx.scheduler` schedules, as documents of `_scheduled_functions`: written with the transaction that schedules. */
export class ScheduledFunctions implements WorkSource {
  readonly waiting: KeyRange;
  readonly #documents: Documents;
  readonly #functions: Functions;
  readonly #table: Table;
  readonly #byState: Index;
  readonly #byCompleted: Index;

  constructor(tables: Tables, documents: Documents, functions: Functions) {
    this.#documents = documents;
    this.#functions = functions;
    this.#table = tables.table(SCHEDULED_FUNCTIONS);
    this.#byState = tables.index(SCHEDULED_FUNCTIONS, BY_STATE);
    this.#byCompleted = tables.index(SCHEDULED_FUNCTIONS, BY_COMPLETED);
    this.waiting = stateRange(this.#byState, 'pending');
  }

  /**
   * Schedules a function for `time`; its id. What a scheduled function that is canceled meanwhile schedules is
   * canceled from the start. Throws when there is no such function, or the time is too far off.
   */
  schedule(transaction: Transaction, { path, args, time, by }: Order, now = Date.now()): string {
    const orderer = by === undefined ? undefined : this.#find(transaction, by);
    const ended = orderer && isIn(orderer, 'canceled') ? { completedTime: now } : undefined;
    const name = this.#nameOf(path);
    if (Math.abs(time - now) > FARTHEST_MS) {
      const direction = time > now ? 'future' : 'past';
      throw new Error(`UnixTimestamp(${time / 1000}s) is more than 5 years in the ${direction}`);
    }
    transaction.usage.schedule(measure([args]).size);
    return this.#documents.insert(transaction, SCHEDULED_FUNCTIONS, {
      name,
      args: [args],
      // The time came as seconds: what the division took away is put back.
      scheduledTime: Math.round(time * 1000) / 1000,
      state: { kind: ended ? 'canceled' : 'pending' },
      ...ended,
    });
  }

  /** Keeps a function from running, or from counting as done when it already runs. Nothing for one that ended. */
  cancel(transaction: Transaction, id: string, now = Date.now()): void {
    const job = this.#find(transaction, id);
    if (!job)
      throw new Error("Invalid scheduled function ID. The ID must be an ID on the '_scheduled_functions' table.");
    if (isIn(job, 'pending') || isIn(job, 'inProgress')) this.#end(transaction, id, { kind: 'canceled' }, now);
  }

  due(reader: Reader, now: number, limit: number): Work[] {
    return this.#in(reader, 'pending', { until: now, limit });
  }

  nextTime(reader: Reader, now: number): number | undefined {
    const next = firstAfter(reader, { table: this.#table, index: this.#byState, state: 'pending' }, now);
    return next && Number(next.scheduledTime);
  }

  begun(reader: Reader): Work[] {
    return this.#in(reader, 'inProgress', { limit: Number.MAX_SAFE_INTEGER });
  }

  begin(transaction: Transaction, { id }: Work): boolean {
    const job = this.#find(transaction, id);
    if (!job || !isIn(job, 'pending')) return false;
    this.#documents.patch(transaction, id, { state: { kind: 'inProgress' } });
    return true;
  }

  finish(transaction: Transaction, { id }: Work, now: number, failure?: string): void {
    this.#prune(transaction, now);
    const job = this.#find(transaction, id);
    if (!job || !isIn(job, 'inProgress')) return;
    this.#end(transaction, id, failure === undefined ? { kind: 'success' } : { kind: 'failed', error: failure }, now);
  }

  #end(transaction: Transaction, id: string, state: JSONValue, now: number): void {
    this.#documents.patch(transaction, id, { state, completedTime: now });
  }

  #find(transaction: Transaction, id: string): DocumentJson | undefined {
    const text = transaction.get(documentKey(this.#table, id));
    return text === undefined ? undefined : parseDocument(text);
  }

  #in(reader: Reader, state: string, bounds: { until?: number; limit: number }): Work[] {
    return documentsIn(reader, { table: this.#table, index: this.#byState, state }, bounds).map((job) => {
      const [args = null] = job.args as JSONValue[];
      return { id: job._id, path: String(job.name), args, scheduledId: job._id };
    });
  }

  #prune(transaction: Transaction, now: number): void {
    const { prefix } = this.#byCompleted;
    const old = { lower: prefix + encodeValue(-Infinity), upper: prefix + encodeValue(now - KEPT_MS) };
    for (const key of transaction.keys(old, false, PRUNED_AT_ONCE)) this.#documents.remove(transaction, idOfKey(key));
  }

  #nameOf(path: string): string {
    const known = this.#functions.get(canonicalPath(path));
    if (known) return printed(known);
    const [module = '', name = 'default'] = canonicalPath(path).split(':');
    for (const { path: other } of this.#functions.values()) {
      if (!other.startsWith(`${module}:`)) continue;
      throw new Error(
        `Attempted to schedule function, but no exported function ${name} found in the file: ${module}.js. Did you forget to export it?`,
      );
    }
    throw new Error(`Attempted to schedule function at nonexistent path: ${module}.js`);
  }
}

function isIn({ state }: DocumentJson, kind: string): boolean {
  return typeof state === 'object' && state !== null && 'kind' in state && state.kind === kind;
}
