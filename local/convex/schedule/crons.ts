import type { JSONValue } from 'convex/values';
import { type DocumentJson, type Documents, parseDocument } from '#local/convex/database/documents.ts';
import { BY_STATE, CRON_JOBS } from '#local/convex/database/system-tables.ts';
import type { Transaction } from '#local/convex/database/transaction.ts';
import { canonicalPath, type Functions } from '#local/convex/functions/functions.ts';
import type { KeyRange } from '#local/convex/storage/index-key.ts';
import type { Reader } from '#local/convex/storage/storage.ts';
import { documentKey, type Index, type Table, type Tables } from '#local/convex/storage/tables.ts';
import { type CronSchedule, firstTime, nextTime } from './cron-schedule.ts';
import { documentsIn, firstAfter, stateRange, type Work, type WorkSource } from './work.ts';

/** The default export of `crons.ts`, as its `export()` gives it: by the cron's name. */
type Declared = Readonly<Record<string, { name: string; args: [JSONValue]; schedule: CronSchedule & JSONValue }>>;

/**
 * The crons of `crons.ts`, as documents of `_cron_jobs`, which keep when each is due next. One that runs still is
 * not begun again: a time that passes meanwhile is left out.
 */
export class Crons implements WorkSource {
  readonly waiting: KeyRange;
  readonly #documents: Documents;
  readonly #table: Table;
  readonly #byState: Index;

  constructor(tables: Tables, documents: Documents) {
    this.#documents = documents;
    this.#table = tables.table(CRON_JOBS);
    this.#byState = tables.index(CRON_JOBS, BY_STATE);
    this.waiting = stateRange(this.#byState, 'waiting');
  }

  /**
   * Makes the stored crons those of `crons.ts`, given its default export. One that stayed as it was keeps its time.
   * Throws when a cron names no mutation or action, or its schedule is none.
   */
  declare(transaction: Transaction, exported: unknown, functions: Functions, now: number): void {
    const declared = declaredIn(exported);
    for (const cron of this.#all(transaction)) {
      const same = declared[String(cron.name)];
      if (!same || JSON.stringify(factsOf(same)) !== JSON.stringify(factsOf(cron))) {
        this.#documents.remove(transaction, cron._id);
      }
    }
    const kept = new Set(this.#all(transaction).map(({ name }) => name));
    for (const [name, cron] of Object.entries(declared)) {
      const fn = functions.get(canonicalPath(cron.name));
      if (!fn || fn.kind === 'query') throw new Error(`Cron "${name}": there is no mutation or action ${cron.name}.`);
      if (kept.has(name)) continue;
      const time = firstTime(cron.schedule, name, now);
      this.#documents.insert(transaction, CRON_JOBS, { ...factsOf(cron), name, state: 'waiting', nextTime: time });
    }
  }

  due(reader: Reader, now: number, limit: number): Work[] {
    return documentsIn(reader, this.#place('waiting'), { until: now, limit }).map(workOf);
  }

  nextTime(reader: Reader, now: number): number | undefined {
    const next = firstAfter(reader, this.#place('waiting'), now);
    return next && Number(next.nextTime);
  }

  begun(reader: Reader): Work[] {
    return documentsIn(reader, this.#place('running'), { limit: Number.MAX_SAFE_INTEGER }).map(workOf);
  }

  begin(transaction: Transaction, { id }: Work): boolean {
    const cron = this.#find(transaction, id);
    if (cron?.state !== 'waiting') return false;
    this.#documents.patch(transaction, id, { state: 'running' });
    return true;
  }

  finish(transaction: Transaction, { id }: Work, now: number, failure?: string): void {
    const cron = this.#find(transaction, id);
    if (cron?.state !== 'running') return;
    const next = nextTime(cron.schedule as CronSchedule & JSONValue, String(cron.name), Number(cron.nextTime), now);
    const lastFailure = failure ?? { $undefined: null };
    this.#documents.patch(transaction, id, { state: 'waiting', nextTime: next, lastTime: now, lastFailure });
  }

  #place(state: string) {
    return { table: this.#table, index: this.#byState, state };
  }

  #find(transaction: Transaction, id: string): DocumentJson | undefined {
    const text = transaction.get(documentKey(this.#table, id));
    return text === undefined ? undefined : parseDocument(text);
  }

  #all(transaction: Transaction): DocumentJson[] {
    const all = { limit: Number.MAX_SAFE_INTEGER };
    return ['waiting', 'running'].flatMap((state) => documentsIn(transaction, this.#place(state), all));
  }
}

function workOf({ _id, function: path, args }: DocumentJson): Work {
  const [first = null] = args as JSONValue[];
  return { id: _id, path: String(path), args: first };
}

/** What makes a cron the one it was: other facts make it start anew. */
function factsOf(cron: { readonly [field: string]: JSONValue } | Declared[string]) {
  const path = 'function' in cron ? cron.function : cron.name;
  return { function: path ?? null, args: cron.args ?? null, schedule: cron.schedule ?? null };
}

function declaredIn(exported: unknown): Declared {
  if (exported === undefined) return {};
  const isCrons = typeof exported === 'object' && exported !== null && 'isCrons' in exported && 'export' in exported;
  if (!isCrons || typeof exported.export !== 'function') {
    throw new Error('crons.ts must have a default export, made by `cronJobs()`.');
  }
  return JSON.parse(String(exported.export())) as Declared;
}
