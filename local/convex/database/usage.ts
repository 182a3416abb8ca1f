import type { JSONValue } from 'convex/values';
import type { Key } from '#local/convex/storage/index-key.ts';
import { TRANSACTION_LIMITS as LIMITS } from '#local/convex/values/limits.ts';
import { measure } from '#local/convex/values/measure.ts';

const HELP =
  'Consider using smaller limits in your queries, paginating your queries, or using indexed queries with a selective index range expressions.';

/** No value is larger than its JSON text times this: `[0,0]` takes 9 bytes for each `0,`. */
const BYTES_PER_CHARACTER = 5;

/** A read beyond what one transaction may read. */
export class TooMuchRead extends Error {}

/** What a transaction has used up of its limits, with all that is nested in it. Each method throws past a limit. */
export class Usage {
  #documentsRead = 0;
  #bytesRead = 0;
  /** Documents whose bytes are not counted yet: parsing each would cost more than reading it. */
  #uncounted: string[] = [];
  /** At most this many bytes lie in them. */
  #uncountedAtMost = 0;
  #ranges = 0;
  readonly #points = new Set<Key>();
  #documentsWritten = 0;
  #bytesWritten = 0;
  #scheduled = 0;
  #scheduledBytes = 0;

  /** An index range is read, or the document at `point`, which counts once. */
  query(point?: Key): void {
    if (point === undefined) this.#ranges++;
    else this.#points.add(point);
    if (this.#ranges + this.#points.size <= LIMITS.databaseQueries) return;
    throw new TooMuchRead(`Too many reads in a single function execution (limit: ${LIMITS.databaseQueries}). ${HELP}`);
  }

  /** A document was read, whether it passed a filter or not. */
  read(text: string): void {
    this.#documentsRead++;
    if (this.#documentsRead > LIMITS.documentsRead) {
      throw new TooMuchRead(
        `Too many documents read in a single function execution (limit: ${LIMITS.documentsRead}). ${HELP}`,
      );
    }
    this.#uncounted.push(text);
    this.#uncountedAtMost += text.length * BYTES_PER_CHARACTER;
    if (this.#bytesRead + this.#uncountedAtMost <= LIMITS.bytesRead) return;
    this.#count();
    if (this.#bytesRead <= LIMITS.bytesRead) return;
    throw new TooMuchRead(
      `Too many bytes read in a single function execution (limit: ${LIMITS.bytesRead} bytes). ${HELP}`,
    );
  }

  /** A document was inserted or changed to one of `size` bytes, or deleted, which is of none. */
  write(size: number): void {
    this.#documentsWritten++;
    this.#bytesWritten += size;
    if (this.#documentsWritten > LIMITS.documentsWritten) {
      throw new Error(`Too many writes in a single function execution (limit: ${LIMITS.documentsWritten})`);
    }
    if (this.#bytesWritten > LIMITS.bytesWritten) {
      throw new Error(`Too many bytes written in a single function execution (limit: ${LIMITS.bytesWritten} bytes)`);
    }
  }

  /** A function was scheduled with arguments of `size` bytes. */
  schedule(size: number): void {
    this.#scheduled++;
    this.#scheduledBytes += size;
    if (this.#scheduled > LIMITS.functionsScheduled) {
      throw new Error(`Too many functions scheduled by this mutation (limit: ${LIMITS.functionsScheduled})`);
    }
    if (this.#scheduledBytes > LIMITS.scheduledFunctionArgsBytes) {
      throw new Error(
        `Too large total size of the arguments of scheduled functions from this mutation (limit: ${LIMITS.scheduledFunctionArgsBytes} bytes)`,
      );
    }
  }

  /** Used and left of each limit, as `ctx.meta.getTransactionMetrics()` answers. */
  metrics(): Record<string, { used: number; remaining: number }> {
    this.#count();
    const used = {
      documentsRead: this.#documentsRead,
      bytesRead: this.#bytesRead,
      databaseQueries: this.#ranges + this.#points.size,
      documentsWritten: this.#documentsWritten,
      bytesWritten: this.#bytesWritten,
      functionsScheduled: this.#scheduled,
      scheduledFunctionArgsBytes: this.#scheduledBytes,
    };
    const entries = Object.entries(used).map(([name, amount]) => {
      return [name, { used: amount, remaining: Math.max(0, LIMITS[name as keyof typeof used] - amount) }];
    });
    return Object.fromEntries(entries);
  }

  #count(): void {
    for (const text of this.#uncounted) this.#bytesRead += measure(JSON.parse(text) as JSONValue).size;
    this.#uncounted = [];
    this.#uncountedAtMost = 0;
  }
}
