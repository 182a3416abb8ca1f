import { NOBODY } from '#local/convex/auth/auth.ts';
import type { Transaction } from '#local/convex/database/transaction.ts';
import { RefusedCall } from '#local/convex/functions/call.ts';
import type { Functions, RegisteredFunction } from '#local/convex/functions/functions.ts';
import { findFunction, runFunction } from '#local/convex/functions/runner.ts';
import type { Overlay } from '#local/convex/storage/overlay.ts';
import type { Reader } from '#local/convex/storage/storage.ts';
import type { Work, WorkSource } from './work.ts';

/** As many of Convex's scheduled functions run side by side. */
const AT_ONCE = 8;
/** The clock of the machine may be set: it is looked at this often at least. */
const LONGEST_SLEEP_MS = 60_000;
const CUT_SHORT = 'Transient error while executing action';

interface ExecutorHost {
  readonly storage: Reader;
  readonly functions: Functions;
  readonly sources: readonly WorkSource[];
  /** Runs `work` alone in a transaction, and resolves once that is on the disk. */
  transact<Result>(work: (transaction: Transaction) => Promise<Result> | Result): Promise<Result>;
}

/**
 * Runs scheduled functions and crons when their time has come. A mutation runs exactly once: that it ran is written
 * with what it wrote. An action at most once: that it begins is on the disk before it does, and one that was cut
 * short counts as failed.
 */
export class Executor {
  readonly #host: ExecutorHost;
  readonly #running = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = true;

  constructor(host: ExecutorHost) {
    this.#host = host;
  }

  /** Ends what the engine before left begun, and starts to work. */
  async start(): Promise<void> {
    const { sources, storage, transact } = this.#host;
    for (const source of sources) {
      for (const work of source.begun(storage)) {
        await transact((transaction) => source.finish(transaction, work, Date.now(), CUT_SHORT));
      }
    }
    this.#stopped = false;
    this.#wake();
  }

  /** Nothing more is begun from here on. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Tells what a group of commits wrote. */
  committed(writes: Overlay): void {
    if (this.#host.sources.some(({ waiting }) => writes.keys(waiting).length > 0)) this.#wake();
  }

  #wake(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    const { sources, storage } = this.#host;
    const now = Date.now();
    const sleeps = [LONGEST_SLEEP_MS];
    for (const source of sources) {
      // What runs already still waits on the disk until its transaction is there.
      for (const work of source.due(storage, now, AT_ONCE + this.#running.size)) this.#begin(source, work);
      const next = source.nextTime(storage, now);
      if (next !== undefined) sleeps.push(next - now);
    }
    this.#timer = setTimeout(() => this.#wake(), Math.min(...sleeps));
  }

  #begin(source: WorkSource, work: Work): void {
    if (this.#running.size >= AT_ONCE || this.#running.has(work.id)) return;
    this.#running.add(work.id);
    this.#run(source, work).then(
      () => {
        this.#running.delete(work.id);
        this.#wake();
      },
      // Only an engine that cannot write any more gets here; it is about to end.
      (error: unknown) => {
        this.stop();
        process.stderr.write(`Scheduled functions run no more: ${error instanceof Error ? error.message : error}\n`);
      },
    );
  }

  async #run(source: WorkSource, work: Work): Promise<void> {
    const { transact } = this.#host;
    const fn = this.#find(work);
    if (fn instanceof RefusedCall) {
      await transact((transaction) => {
        if (source.begin(transaction, work)) source.finish(transaction, work, Date.now(), fn.message);
      });
    } else if (fn.kind === 'mutation') {
      await transact((transaction) => this.#mutate(source, work, fn, transaction));
    } else if (await transact((transaction) => source.begin(transaction, work))) {
      const failure = await this.#call(fn, work);
      await transact((transaction) => source.finish(transaction, work, Date.now(), failure));
    }
  }

  async #mutate(source: WorkSource, work: Work, fn: RegisteredFunction, transaction: Transaction): Promise<void> {
    if (!source.begin(transaction, work)) return;
    const inner = transaction.nested();
    const failure = await this.#call(fn, work, inner);
    if (failure === undefined) transaction.absorb(inner);
    source.finish(transaction, work, Date.now(), failure);
  }

  async #call(fn: RegisteredFunction, work: Work, transaction?: Transaction): Promise<string | undefined> {
    const options = { identity: NOBODY, transaction, scheduledId: work.scheduledId };
    const { outcome } = await runFunction(fn, work.args, options);
    return outcome.ok ? undefined : outcome.message;
  }

  #find({ path }: Work): RegisteredFunction | RefusedCall {
    try {
      const fn = findFunction(this.#host.functions, path, { internal: true });
      return fn.kind === 'query'
        ? new RefusedCall(`${path} is a query: only mutations and actions can be scheduled.`)
        : fn;
    } catch (refused) {
      if (refused instanceof RefusedCall) return refused;
      throw refused;
    }
  }
}
