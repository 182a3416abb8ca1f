import { justAfter, type Key, type KeyRange } from './index-key.ts';
import type { MutableRange, Transaction } from './transaction.ts';

const FIRST_READ = 16;
const LONGEST_READ = 512;

/**
 * Walks the keys of a range step by step, reading ahead in growing bites, and notes as read
 * exactly the part it went over.
 */
export class Scan {
  readonly #transaction: Transaction;
  readonly #descending: boolean;
  readonly #noted: MutableRange | undefined;
  #rest: KeyRange;
  #ahead: Key[] = [];
  #at = 0;
  #bite: number;
  #done = false;

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
    if (this.#at === this.#ahead.length && !this.#done) this.#read();
    const key = this.#ahead[this.#at];
    if (key === undefined) {
      this.#note(this.#descending ? this.#rest.lower : this.#rest.upper);
      return undefined;
    }
    this.#at++;
    this.#note(this.#descending ? key : justAfter(key));
    return key;
  }

  #read(): void {
    this.#ahead = this.#transaction.keys(this.#rest, this.#descending, this.#bite);
    this.#at = 0;
    const last = this.#ahead.at(-1);
    if (last === undefined) this.#done = true;
    else if (this.#descending) this.#rest = { ...this.#rest, upper: last };
    else this.#rest = { ...this.#rest, lower: justAfter(last) };
    this.#bite = Math.min(this.#bite * 4, LONGEST_READ);
  }

  #note(reached: Key): void {
    if (!this.#noted) return;
    if (this.#descending) this.#noted.lower = reached;
    else this.#noted.upper = reached;
  }
}
