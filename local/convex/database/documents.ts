import type { JSONValue } from 'convex/values';
import { makeId } from '#local/convex/storage/ids.ts';
import { encodeValue, type Key } from '#local/convex/storage/index-key.ts';
import { documentKey, type Index, type Table, type Tables } from '#local/convex/storage/tables.ts';
import type { Clock } from '#local/convex/storage/timestamp.ts';
import { DEEPEST_DOCUMENT, LARGEST_DOCUMENT } from '#local/convex/values/limits.ts';
import { measure, showSize } from '#local/convex/values/measure.ts';
import { isPlainObject } from '#local/convex/values/validate.ts';
import type { Schema } from './schema.ts';
import type { Transaction } from './transaction.ts';

/** A document in Convex's JSON form. */
export interface DocumentJson {
  [field: string]: JSONValue;
  _id: string;
  _creationTime: number;
}

export function parseDocument(text: string): DocumentJson {
  return JSON.parse(text) as DocumentJson;
}

/** The document as its author wrote it. */
export function withoutSystemFields(document: { [field: string]: JSONValue }): { [field: string]: JSONValue } {
  const { _id, _creationTime, ...fields } = document;
  return fields;
}

/** The value at a dotted path, undefined when there is none. */
export function fieldAt(document: JSONValue, path: string): JSONValue | undefined {
  if (!path.includes('.')) return isPlainObject(document) && Object.hasOwn(document, path) ? document[path] : undefined;
  let value: JSONValue | undefined = document;
  for (const name of path.split('.')) {
    value = isPlainObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  }
  return value;
}

/** Where a document stands in each of the indexes. */
export function indexKeys(document: DocumentJson, indexes: Iterable<Index>): Key[] {
  const keys: Key[] = [];
  for (const { fields, prefix } of indexes) {
    let key = prefix;
    for (const field of fields) key += encodeValue(fieldAt(document, field));
    keys.push(key);
  }
  return keys;
}

/** The writes of `ctx.db`, each within a transaction. They throw in Convex's words. */
export interface Documents {
  /** The document's JSON text, undefined when there is none. `table`, when named, must be the id's own. */
  get(transaction: Transaction, id: string, method: string, table?: string): string | undefined;
  insert(transaction: Transaction, table: string, value: JSONValue): string;
  /** Sets the fields given; `{ $undefined: null }` removes one. */
  patch(transaction: Transaction, id: string, changes: JSONValue, table?: string): void;
  replace(transaction: Transaction, id: string, value: JSONValue, table?: string): void;
  remove(transaction: Transaction, id: string, table?: string): void;
}

export function documentsOf(tables: Tables, schema: Schema, clock: Clock): Documents {
  function locate(id: string, method: string, named?: string): Table {
    const table = tables.tableOf(id);
    if (!table) throw new Error(`Invalid argument \`id\` for \`db.${method}\`: Unable to decode ID: "${id}"`);
    if (named !== undefined && table.name !== named) {
      throw new Error(
        `Invalid argument \`id\` for \`db.${method}\`: expected ID in table "${named}" but got ID in table "${table.name}"`,
      );
    }
    return table;
  }

  function look(transaction: Transaction, table: Table, id: string): string | undefined {
    const key = documentKey(table, id);
    const text = transaction.watch(key);
    if (table.isSystem) return text;
    transaction.usage.query(key);
    if (text !== undefined) transaction.usage.read(text);
    return text;
  }

  function read(transaction: Transaction, table: Table, id: string, method: string): DocumentJson {
    const text = look(transaction, table, id);
    if (text === undefined) throw new Error(`${method} on nonexistent document ID ${id}`);
    return parseDocument(text);
  }

  function write(transaction: Transaction, table: Table, old: DocumentJson | undefined, document: DocumentJson): void {
    if (!table.isSystem) transaction.usage.write(sizeOf(document));
    const problem = schema.get(table.name)?.(withoutSystemFields(document), '');
    if (problem !== undefined) {
      throw new Error(
        `Failed to insert or update a document in table "${table.name}" because it does not match the schema: ${problem}`,
      );
    }
    const keys = indexKeys(document, table.indexes.values());
    const before = new Set(old && indexKeys(old, table.indexes.values()));
    for (const key of keys) {
      if (before.delete(key)) transaction.writes.touched.add(key);
      else transaction.writes.set(key, '');
    }
    for (const key of before) transaction.writes.set(key, null);
    const text = JSON.stringify(document);
    if (text.includes('{"$commitTs":null}')) throw new Error('`db.vars.commitTs` is not supported by this engine.');
    transaction.writes.set(documentKey(table, document._id), text);
  }

  return {
    get(transaction, id, method, named) {
      return look(transaction, locate(id, method, named), id);
    },
    insert(transaction, name, value) {
      const fields = fieldsOf(value, 'insert');
      for (const field of ['_id', '_creationTime']) {
        if (field in fields) throw new Error(`The system field \`${field}\` cannot be given to \`db.insert\`.`);
      }
      const table = tables.table(name);
      const creationTime = clock.creationTime();
      const id = makeId(table.number, Math.floor(creationTime));
      write(transaction, table, undefined, { ...fields, _creationTime: creationTime, _id: id });
      return id;
    },
    patch(transaction, id, changes, named) {
      const table = locate(id, 'patch', named);
      const old = read(transaction, table, id, 'Update');
      const document: DocumentJson = { ...old };
      for (const [field, value] of Object.entries(fieldsOf(changes, 'patch'))) {
        if (isUndefined(value)) delete document[field];
        else document[field] = value;
      }
      write(transaction, table, old, withSystemFieldsOf(old, document));
    },
    replace(transaction, id, value, named) {
      const table = locate(id, 'replace', named);
      const old = read(transaction, table, id, 'Replace');
      write(transaction, table, old, withSystemFieldsOf(old, fieldsOf(value, 'replace')));
    },
    remove(transaction, id, named) {
      const table = locate(id, 'delete', named);
      const old = read(transaction, table, id, 'Delete');
      if (!table.isSystem) transaction.usage.write(0);
      for (const key of indexKeys(old, table.indexes.values())) transaction.writes.set(key, null);
    },
  };
}

function fieldsOf(value: JSONValue, method: string): { [field: string]: JSONValue } {
  within(method, value);
  if (isPlainObject(value)) return value;
  throw new Error(`Invalid argument \`value\` for \`db.${method}\`: expected an object.`);
}

/** Throws when the value given to `db.insert` and the like is one that no value may be. */
function within(method: string, value: JSONValue): void {
  try {
    measure(value);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`Invalid argument \`value\` for \`db.${method}\`: ${why}`);
  }
}

function sizeOf(document: DocumentJson): number {
  const { size, nesting } = measure(document);
  if (nesting > DEEPEST_DOCUMENT) {
    throw new Error(`Document is too nested (nested ${nesting} levels deep > maximum nesting ${DEEPEST_DOCUMENT})`);
  }
  if (size > LARGEST_DOCUMENT) {
    throw new Error(`Value is too large (${showSize(size)} > maximum size ${showSize(LARGEST_DOCUMENT)})`);
  }
  return size;
}

function isUndefined(value: JSONValue): boolean {
  return typeof value === 'object' && value !== null && '$undefined' in value;
}

/** System fields may be given, but only as they are. */
function withSystemFieldsOf(old: DocumentJson, fields: { [field: string]: JSONValue }): DocumentJson {
  const { _id, _creationTime } = old;
  if ((fields._id ?? _id) !== _id) {
    throw new Error(`Provided \`_id\` field value "${fields._id}" does not match the document ID "${_id}"`);
  }
  if ((fields._creationTime ?? _creationTime) !== _creationTime) {
    throw new Error(`Provided \`_creationTime\` field value ${fields._creationTime} does not match ${_creationTime}`);
  }
  return { ...fields, _creationTime, _id };
}
