import { justAfter, type Key, type KeyRange } from '#local/convex/storage/index-key.ts';
import type { MutableRange, Transaction } from './transaction.ts';

const FIRST_READ = 16;
const LONGEST_READ = 512;

/**
 * Walks the keys of a range step by step, reading ahead in growing bites, and notes as read
 * exactly the part it went over. What its own transaction writes meanwhile ahead of it counts.
 */
export class Scan {
  readonly #transaction: Transaction;
  readonly #descending: boolean;
  readonly #noted: MutableRange | undefined;
  /** What lies past the last key given out. */
  #rest: KeyRange;
  #ahead: readonly Key[] = [];
  #at = 0;
  #bite: number;
  #revision = -1;

  /** `expected` is how many keys the reader is likely to want. */
  constructor(transaction: Transaction, range: KeyRange, descending: boolean, expected = FIRST_READ) {
    this.#transaction = transaction;
    this.#descending = descending;
    this.#rest = range;
    this.#bite = Math.min(Math.max(expected, 1), LONGEST_READ);
    if (transaction.reads) {
      const start = descending ? range.upper : range.lower;
      this.#noted = { lower: start, upper: start };
      transaction.reads.push(this.#noted);
    }
  }

  next(): Key | undefined {
    if (this.#at === this.#ahead.length || this.#revision !== this.#transaction.writes.revision) this.#read();
    const key = this.#ahead[this.#at];
    if (key === undefined) this.#pass(this.#descending ? this.#rest.lower : this.#rest.upper);
    else {
      this.#at++;
      this.#pass(this.#descending ? key : justAfter(key));
    }
    return key;
  }

  #read(): void {
    this.#ahead = this.#transaction.keys(this.#rest, this.#descending, this.#bite);
    this.#at = 0;
    this.#revision = this.#transaction.writes.revision;
    this.#bite = Math.min(this.#bite * 4, LONGEST_READ);
  }

  #pass(reached: Key): void {
    const side = this.#descending ? 'upper' : 'lower';
    this.#rest = { ...this.#rest, [side]: reached };
    if (this.#noted) this.#noted[this.#descending ? 'lower' : 'upper'] = reached;
  }
}
