import { MAX_TABLE_NUMBER, tableNumberOf } from './ids.ts';
import { encodeValue, type Key, type KeyRange, pastPrefix } from './index-key.ts';
import type { Storage } from './storage.ts';

/** An ordered index: `fields` always end in `_creationTime` and `_id`, but for `by_id`, which is `_id` alone. */
export interface Index {
  readonly name: string;
  readonly fields: readonly string[];
  readonly prefix: Key;
}

export interface Table {
  readonly name: string;
  readonly number: number;
  /** The engine's own: functions only read it, and it does not count towards their limits. */
  readonly isSystem: boolean;
  readonly byId: Index;
  readonly byCreationTime: Index;
  /** All of them, the two above included. */
  readonly indexes: ReadonlyMap<string, Index>;
}

/** Fields as `schema.ts` declares them, per index name. */
export type DeclaredIndexes = Readonly<Record<string, readonly string[]>>;

interface SavedTable {
  number: number;
  indexes: Record<string, { number: number; fields: string[] }>;
}

interface Saved {
  nextIndex: number;
  tables: Record<string, SavedTable>;
}

/** What is not a document or an index entry lives under this prefix, which is the number of no index. */
export const META = '\x00\x00';
const SAVED_AT = `${META}tables`;
const BUILT_IN: DeclaredIndexes = { by_id: ['_id'], by_creation_time: ['_creationTime', '_id'] };
const MAX_INDEX_NUMBER = 0xffff;

/** Which tables and indexes there are, under which numbers their keys lie. */
export class Tables {
  readonly #saved: Saved;
  readonly #byName = new Map<string, Table>();
  readonly #byNumber = new Map<number, Table>();
  #unsaved = false;

  constructor(storage: Storage) {
    const saved = storage.get(SAVED_AT);
    this.#saved = saved === undefined ? { nextIndex: 1, tables: {} } : (JSON.parse(saved) as Saved);
    for (const name of Object.keys(this.#saved.tables)) this.#load(name);
  }

  /** The table of that name; one never heard of is made, empty. */
  table(name: string): Table {
    const known = this.#byName.get(name);
    if (known) return known;
    const number = Object.keys(this.#saved.tables).length + 1;
    if (number > MAX_TABLE_NUMBER) throw new Error(`No more than ${MAX_TABLE_NUMBER} tables fit into one data folder.`);
    this.#saved.tables[name] = { number, indexes: {} };
    for (const [index, fields] of Object.entries(BUILT_IN)) this.addIndex(name, index, fields);
    return this.#load(name);
  }

  /** The table a document id belongs to, undefined when the text is no id of ours. */
  tableOf(id: string): Table | undefined {
    const number = tableNumberOf(id);
    return number === undefined ? undefined : this.#byNumber.get(number);
  }

  /** An index that is known to be there. */
  index(table: string, name: string): Index {
    const index = this.table(table).indexes.get(name);
    if (!index) throw new Error(`Index ${table}.${name} not found.`);
    return index;
  }

  names(): string[] {
    return [...this.#byName.keys()];
  }

  /** Gives an index a number of its own. It is empty and not used until `reload`. */
  addIndex(table: string, name: string, fields: readonly string[]): Index {
    const number = this.#saved.nextIndex++;
    if (number > MAX_INDEX_NUMBER) throw new Error('The data folder has no index numbers left.');
    this.#unsaved = true;
    this.#savedTable(table).indexes[name] = { number, fields: [...fields] };
    return { name, fields, prefix: prefixOf(number) };
  }

  dropIndex(table: string, name: string): void {
    delete this.#savedTable(table).indexes[name];
    this.#unsaved = true;
    this.#load(table);
  }

  reload(table: string): Table {
    return this.#load(table);
  }

  /** The entry that must be written with the next commit, when there is something new to keep. */
  takeUnsaved(): [Key, string] | undefined {
    if (!this.#unsaved) return undefined;
    this.#unsaved = false;
    return [SAVED_AT, JSON.stringify(this.#saved)];
  }

  #savedTable(name: string): SavedTable {
    const table = this.#saved.tables[name];
    if (!table) throw new Error(`There is no table ${name}.`);
    return table;
  }

  #load(name: string): Table {
    const { number, indexes: saved } = this.#savedTable(name);
    const indexes = new Map<string, Index>();
    for (const [index, { number, fields }] of Object.entries(saved)) {
      indexes.set(index, { name: index, fields, prefix: prefixOf(number) });
    }
    const byId = indexes.get('by_id');
    const byCreationTime = indexes.get('by_creation_time');
    if (!byId || !byCreationTime) throw new Error(`Table ${name} has lost its own indexes.`);
    const table = { name, number, isSystem: name.startsWith('_'), byId, byCreationTime, indexes };
    this.#byName.set(name, table);
    this.#byNumber.set(number, table);
    return table;
  }
}

/** Where a document itself lies. */
export function documentKey(table: Table, id: string): Key {
  return table.byId.prefix + encodeValue(id);
}

/** The id at the end of any index key. */
export function idOfKey(key: Key): string {
  return key.slice(-34, -2);
}

/** Every key of an index. */
export function indexRange(index: Index): KeyRange {
  return { lower: index.prefix, upper: pastPrefix(index.prefix) };
}

function prefixOf(number: number): Key {
  return String.fromCharCode(number >> 8, number & 0xff);
}
