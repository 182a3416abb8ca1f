import pLimit from 'p-limit';
import type { CommitLog } from '#local/convex/storage/commit-log.ts';
import type { RequestId } from '#local/convex/storage/requests.ts';
import type { Storage } from '#local/convex/storage/storage.ts';
import { Transaction } from './transaction.ts';

/** What a turn came to. With `keep` its writes are committed, under the answer for a repeated request. */
export interface Turn<Result> {
  readonly result: Result;
  readonly keep?: { readonly value: string; readonly request?: RequestId | undefined };
}

/** Runs transactions that write, one after another, each over the writes of those before it. */
export class Transactions {
  readonly #storage: Storage;
  readonly #log: CommitLog;
  readonly #oneAtATime = pLimit(1);

  constructor(storage: Storage, log: CommitLog) {
    this.#storage = storage;
    this.#log = log;
  }

  /** Resolves once what is kept is on the disk, with its timestamp. The next one runs meanwhile. */
  async run<Result>(
    work: (transaction: Transaction) => Promise<Turn<Result>>,
  ): Promise<{ result: Result; timestamp?: bigint }> {
    const { result, onDisk } = await this.#oneAtATime(async () => {
      const transaction = new Transaction(this.#storage, this.#log.unwritten());
      const { result, keep } = await work(transaction);
      return { result, onDisk: keep && this.#log.add({ writes: transaction.writes, ...keep }) };
    });
    return onDisk ? { result, timestamp: await onDisk } : { result };
  }

  /** The engine's own: all it writes is kept, unless it throws. */
  async transact<Result>(work: (transaction: Transaction) => Promise<Result> | Result): Promise<Result> {
    const { result } = await this.run(async (transaction) => ({
      result: await work(transaction),
      keep: { value: 'null' },
    }));
    return result;
  }

  /** Resolves when all that ran is on the disk. */
  async settled(): Promise<void> {
    await this.#oneAtATime(() => this.#log.flush());
  }
}
