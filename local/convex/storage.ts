import { open, type Transaction as ReadTransaction, type RootDatabase } from 'lmdb';
import type { Key, KeyRange } from './index-key.ts';

/** LMDB's own limit at its page size of 4 KiB. */
export const MAX_KEY_BYTES = 1978;

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

/** The map on disk. Reads outside a snapshot see the newest write. */
export interface Storage extends Reader {
  snapshot(): Snapshot;
  /** Writes all of `changes` (null removes) or nothing, and returns once they are on the disk. */
  write(changes: Iterable<readonly [Key, string | null]>): void;
  close(): Promise<void>;
}

/** Opens, or makes, the database in `folder`. */
export function openStorage(folder: string): Storage {
  // Without overlapping sync a commit is flushed before it returns and before anybody can read it.
  const db: RootDatabase<string, Buffer> = open({
    path: folder,
    keyEncoding: 'binary',
    encoding: 'string',
    overlappingSync: false,
    maxReaders: 2048,
  });
  return {
    ...reader(db),
    snapshot() {
      // biome-ignore lint/correctness/useHookAtTopLevel: lmdb's name for it, there is no React here
      const transaction = db.useReadTransaction();
      return { ...reader(db, transaction), release: () => transaction.done() };
    },
    write(changes) {
      db.transactionSync(() => {
        for (const [key, value] of changes) {
          if (value === null) db.remove(bytes(key));
          else db.put(bytes(key), value);
        }
      });
    },
    close: () => db.close(),
  };
}

function reader(db: RootDatabase<string, Buffer>, transaction?: ReadTransaction): Reader {
  const options = transaction ? { transaction } : {};
  return {
    get: (key) => db.get(bytes(key), options),
    keys({ lower, upper }, descending, limit) {
      const bounds = descending
        ? { start: bytes(upper), end: bytes(lower), reverse: true, exclusiveStart: true, inclusiveEnd: true }
        : { start: bytes(lower), end: bytes(upper) };
      const found: Key[] = [];
      for (const key of db.getKeys({ ...bounds, ...options, limit })) found.push(key.toString('latin1'));
      return found;
    },
  };
}

function bytes(key: Key): Buffer {
  return Buffer.from(key, 'latin1');
}
