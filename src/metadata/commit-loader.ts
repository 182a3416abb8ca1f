import { AppError, toAppError } from '#errors';
import { judgeByHalving } from './halving.ts';
import type { AssetCommit, CommitResult, Metadata } from './metadata.ts';

export interface CommitLoaderOptions {
  readonly metadata: Pick<Metadata, 'commit'>;
  /** A flush goes out at this many files, */
  readonly maxItems?: number;
  /** at this many bytes of their JSON, */
  readonly maxBytes?: number;
  /** or this many milliseconds after its first file, whichever is first. */
  readonly waitMs?: number;
  /** Mutations under way at once; further flushes wait and grow. */
  readonly maxInFlight?: number;
  /** Told of each flush once answered: files in it and milliseconds it took. */
  readonly onFlush?: (flush: { readonly items: number; readonly ms: number }) => void;
}

/** Gathers commits of many jobs into few mutations. */
export interface CommitLoader {
  /**
   * Resolves with the file's own result. Throws `METADATA_UNAVAILABLE` when the outcome is unknown: repeat the
   * commit, it is a no-op if it was done. A file Convex refuses outright has a result with `METADATA_REJECTED`.
   */
  commit(item: AssetCommit): Promise<CommitResult>;
  /** Sends what waits and resolves once all is answered; a later commit is refused. */
  close(): Promise<void>;
}

interface Waiting {
  readonly item: AssetCommit;
  readonly bytes: number;
  readonly resolve: (result: CommitResult) => void;
  readonly reject: (reason: AppError) => void;
}

/** Keeps what waits in memory only: when the process dies, the jobs that wanted it commit again. */
export function createCommitLoader(options: CommitLoaderOptions): CommitLoader {
  const { metadata, maxItems = 200, maxBytes = 4 * 2 ** 20, waitMs = 5, maxInFlight = 8, onFlush } = options;
  const waiting: Waiting[] = [];
  const inFlight = new Set<Promise<void>>();
  let waitingBytes = 0;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function full(): boolean {
    return waiting.length >= maxItems || waitingBytes >= maxBytes;
  }

  /** Sends full flushes at once, and with `due` or while closing the rest too. */
  function send(due: boolean): void {
    while (waiting.length > 0 && inFlight.size < maxInFlight && (due || closed || full())) launch();
    if (waiting.length > 0 && inFlight.size < maxInFlight) timer ??= setTimeout(onTimer, waitMs);
  }

  function onTimer(): void {
    timer = undefined;
    send(true);
  }

  function launch(): void {
    const flushed = flush(take());
    inFlight.add(flushed);
    void flushed.then(() => {
      // What gathered while all places were taken has waited long enough.
      const due = inFlight.size === maxInFlight;
      inFlight.delete(flushed);
      send(due);
    });
  }

  function take(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { bytes: next } of waiting) {
      if (count === maxItems || (count > 0 && bytes + next > maxBytes)) break;
      bytes += next;
      count += 1;
    }
    waitingBytes -= bytes;
    const taken = waiting.splice(0, count);
    if (waiting.length === 0) {
      clearTimeout(timer);
      timer = undefined;
    }
    return taken;
  }

  /** Never rejects: each waiting commit hears its own end. */
  async function flush(taken: readonly Waiting[]): Promise<void> {
    const start = performance.now();
    try {
      const verdicts = await judgeByHalving(
        taken.map(({ item }) => item),
        (items) => metadata.commit(items),
      );
      for (const [at, one] of taken.entries()) {
        const verdict = verdicts[at];
        if (verdict && 'answer' in verdict) one.resolve(verdict.answer);
        else if (verdict)
          one.resolve({ assetId: one.item.facts.assetId, ok: false, error: verdict.rejected.toFacts() });
      }
    } catch (thrown) {
      for (const one of taken) one.reject(toAppError(thrown));
    }
    onFlush?.({ items: taken.length, ms: performance.now() - start });
  }

  return {
    commit(item) {
      if (closed) return Promise.reject(new AppError('METADATA_UNAVAILABLE', 'The commit loader is closed.'));
      const { promise, resolve, reject } = Promise.withResolvers<CommitResult>();
      const bytes = Buffer.byteLength(JSON.stringify(item));
      waiting.push({ item, bytes, resolve, reject });
      waitingBytes += bytes;
      send(false);
      return promise;
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      send(true);
      while (inFlight.size > 0) await Promise.all(inFlight);
    },
  };
}
