import { createHash } from 'node:crypto';
import { justAfter } from '#local/convex/storage/index-key.ts';
import type { Storage } from '#local/convex/storage/storage.ts';
import {
  type DeclaredIndexes,
  type Index,
  idOfKey,
  indexRange,
  META,
  type Table,
  type Tables,
} from '#local/convex/storage/tables.ts';
import { type Check, compileValidator, type ValidatorJson } from '#local/convex/values/validate.ts';
import { indexKeys, parseDocument, withoutSystemFields } from './documents.ts';
import { SYSTEM_TABLES } from './system-tables.ts';

/** `schema.ts` as `defineSchema(...).export()` gives it. */
interface SchemaJson {
  readonly tables: readonly {
    readonly tableName: string;
    readonly indexes: readonly { readonly indexDescriptor: string; readonly fields: readonly string[] }[];
    readonly documentType: ValidatorJson | null;
  }[];
  readonly schemaValidation: boolean;
}

/** What documents must look like: per table a check of the document without its system fields. */
export type Schema = ReadonlyMap<string, Check>;

const BATCH = 5_000;

/**
 * Makes the data folder fit the schema: builds indexes that are new, drops those that are gone, and
 * checks all documents of a table whose validator changed. Throws, naming table and document, when one does not fit.
 */
export function applySchema(exported: string | undefined, tables: Tables, storage: Storage): Schema {
  const { tables: declared, schemaValidation }: SchemaJson =
    exported === undefined ? { tables: [], schemaValidation: false } : JSON.parse(exported);
  const checks = new Map<string, Check>();
  const isId = (table: string, id: string) => tables.tableOf(id)?.name === table;
  for (const { tableName, indexes, documentType } of declared) {
    const table = tables.table(tableName);
    if (schemaValidation && documentType) checks.set(tableName, compileValidator(documentType, isId));
    checkStored(table, JSON.stringify(documentType), checks.get(tableName), storage);
    const wanted = Object.fromEntries(indexes.map((index) => [index.indexDescriptor, withSystemFields(index.fields)]));
    fitIndexes(table, wanted, tables, storage);
  }
  for (const [name, indexes] of Object.entries(SYSTEM_TABLES)) {
    const wanted = Object.entries(indexes).map(([index, fields]) => [index, withSystemFields(fields)]);
    fitIndexes(tables.table(name), Object.fromEntries(wanted), tables, storage);
  }
  for (const name of tables.names()) {
    const isDeclared = name in SYSTEM_TABLES || declared.some(({ tableName }) => tableName === name);
    if (!isDeclared) fitIndexes(tables.table(name), {}, tables, storage);
  }
  save(tables, storage);
  return checks;
}

function withSystemFields(fields: readonly string[]): string[] {
  return [...fields.filter((field) => field !== '_creationTime'), '_creationTime', '_id'];
}

function fitIndexes(table: Table, wanted: DeclaredIndexes, tables: Tables, storage: Storage): void {
  for (const index of table.indexes.values()) {
    if (index === table.byId || index === table.byCreationTime) continue;
    if (String(wanted[index.name]) === String(index.fields)) continue;
    tables.dropIndex(table.name, index.name);
    save(tables, storage);
    clear(index, storage);
  }
  for (const [name, fields] of Object.entries(wanted)) {
    if (table.indexes.has(name) && String(table.indexes.get(name)?.fields) === String(fields)) continue;
    const index = tables.addIndex(table.name, name, fields);
    fill(table, index, storage);
  }
  save(tables, storage);
  tables.reload(table.name);
}

function fill(table: Table, index: Index, storage: Storage): void {
  // The number may carry entries of a build that a crash cut short.
  clear(index, storage);
  for (const batch of batches(table.byId, storage)) {
    storage.write(
      batch.map((key) => {
        const document = parseDocument(storage.get(key) ?? '');
        return [indexKeys(document, [index])[0] ?? '', ''];
      }),
    );
  }
}

function clear(index: Index, storage: Storage): void {
  for (const batch of batches(index, storage)) storage.write(batch.map((key) => [key, null]));
}

function checkStored(table: Table, validator: string, check: Check | undefined, storage: Storage): void {
  const checkedAt = `${META}checked/${table.name}`;
  const digest = createHash('sha256').update(validator).digest('base64');
  if (!check) storage.write([[checkedAt, null]]);
  if (!check || storage.get(checkedAt) === digest) return;
  for (const batch of batches(table.byId, storage)) {
    for (const key of batch) {
      const problem = check(withoutSystemFields(parseDocument(storage.get(key) ?? '')), '');
      if (problem === undefined) continue;
      throw new Error(`Document ${idOfKey(key)} in table "${table.name}" does not match the schema: ${problem}`);
    }
  }
  storage.write([[checkedAt, digest]]);
}

function* batches(index: Index, storage: Storage): Generator<string[]> {
  const range = indexRange(index);
  for (let lower = range.lower; ; ) {
    const batch = storage.keys({ lower, upper: range.upper }, false, BATCH);
    const last = batch.at(-1);
    if (last === undefined) return;
    yield batch;
    lower = justAfter(last);
  }
}

function save(tables: Tables, storage: Storage): void {
  const unsaved = tables.takeUnsaved();
  if (unsaved) storage.write([unsaved]);
}
