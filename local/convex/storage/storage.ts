import { join } from 'node:path';
import { open, type Transaction as ReadTransaction, type RootDatabase } from 'lmdb';
import { startDiskWriter } from './disk-writer.ts';
import type { Key, KeyRange } from './index-key.ts';
import { cutOff, isLong, storedKey, storedRange, wholeKeys } from './long-keys.ts';

/** What a reader sees: an ordered map of bytes. */
export interface Reader {
  get(key: Key): string | undefined;
  /** Keys of the range in order, at most `limit`; from its upper end when `descending`. */
  keys(range: KeyRange, descending: boolean, limit: number): Key[];
}

/** The state at one moment, whatever is written meanwhile. Must be released. */
export interface Snapshot extends Reader {
  release(): void;
}

/** Keys with their new value, or null to remove them. */
export type Changes = readonly (readonly [Key, string | null])[];

/** The map on disk. Reads outside a snapshot see the newest write. */
export interface Storage extends Reader {
  snapshot(): Snapshot;
  /** Writes all of `changes` or nothing, and returns once they are on the disk. For times when nobody else waits. */
  write(changes: Changes): void;
  /** The same without holding up this thread. Resolves once the changes are on the disk and can be read. */
  commit(changes: Changes): Promise<void>;
  close(): Promise<void>;
}

/** A database handle, ready for keys as bytes. */
export type Database = RootDatabase<string, Buffer>;

/** Opens, or makes, the database in `folder`. */
export function openDatabase(folder: string): Database {
  // Without overlapping sync a commit is flushed before anybody can read it.
  return open({
    path: join(folder, 'data.mdb'),
    keyEncoding: 'binary',
    encoding: 'string',
    overlappingSync: false,
    maxReaders: 2048,
  });
}

/** Writes all of `changes` or nothing, in one flushed transaction. */
export function writeNow(db: Database, changes: Changes): void {
  db.transactionSync(() => {
    for (const [key, value] of changes) {
      const at = bytes(storedKey(key));
      if (value === null) db.remove(at);
      else db.put(at, cutOff(key) ?? value);
    }
  });
}

export function openStorage(folder: string): Storage {
  const db = openDatabase(folder);
  const writer = startDiskWriter(folder);
  return {
    ...reader(db),
    snapshot() {
      // biome-ignore lint/correctness/useHookAtTopLevel: lmdb's name for it, there is no React here
      const transaction = db.useReadTransaction();
      let released = false;
      // Code that a function left running may still come to read; the view is gone then.
      const open = () => {
        if (released) throw new Error('The function has ended, it can read no more.');
      };
      return {
        ...reader(db, transaction, open),
        release() {
          released = true;
          transaction.done();
        },
      };
    },
    write: (changes) => writeNow(db, changes),
    async commit(changes) {
      await writer.write(changes);
      // This thread may hold a view from before the other thread's commit.
      db.resetReadTxn();
    },
    async close() {
      await writer.close();
      await db.close();
    },
  };
}

function reader(db: Database, transaction?: ReadTransaction, check?: () => void): Reader {
  const options = transaction ? { transaction } : {};
  return {
    get(key) {
      check?.();
      const value = db.get(bytes(storedKey(key)), options);
      if (!isLong(key)) return value;
      return value === cutOff(key) ? '' : undefined;
    },
    keys(range, descending, limit) {
      check?.();
      if (!isLong(range.lower) && !isLong(range.upper)) {
        const found: Key[] = [];
        let cut = false;
        for (const key of db.getKeys({ ...bounds(range, descending), ...options, limit })) {
          const text = key.toString('latin1');
          cut ||= isLong(text);
          found.push(text);
        }
        if (!cut) return found;
      }
      const entries = db.getRange({ ...bounds(storedRange(range), descending), ...options });
      const stored = entries.map(({ key, value }) => ({ stored: key.toString('latin1'), value }));
      return wholeKeys(stored, range, descending, limit);
    },
  };
}

function bounds({ lower, upper }: KeyRange, descending: boolean) {
  return descending
    ? { start: bytes(upper), end: bytes(lower), reverse: true, exclusiveStart: true, inclusiveEnd: true }
    : { start: bytes(lower), end: bytes(upper) };
}

function bytes(key: Key): Buffer {
  return Buffer.from(key, 'latin1');
}
