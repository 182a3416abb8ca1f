import type { Readable } from 'node:stream';
import type { ObjectLock, StoredFacts } from '#domain';
import type { DirectUploads } from './direct-uploads.ts';

/**
 * The store port. Adapters: `disk.ts`, `s3.ts`; `test/contracts/store.ts` is this comment as a suite.
 *
 * An object is visible only whole and verified: `put` and `copy` resolve after the store confirmed size
 * and checksum, and a failed or aborted one leaves nothing readable at the key. Putting the same bytes
 * to a key again is a no-op in effect. What was asked of encryption and lock is confirmed by the store, else the put is
 * `ENCRYPTION_NOT_APPLIED` or `LOCK_NOT_APPLIED`. Keys are `/`-separated, relative, without `.` or `..` segments.
 *
 * Every method throws `AppError`: `STORE_UNAVAILABLE` when the store is away (refused, reset, timed out,
 * throttled, 5xx), `STORE_CREDENTIALS_EXPIRED`, `STORE_CLOCK_SKEWED`, `STORE_FULL`, `STORE_ACCESS_DENIED`,
 * `STORE_BUCKET_MISSING`, `STORE_REJECTED`, or `STORE_FAILED` for what it does not know. An aborted `signal` rejects with
 * its reason.
 */
export interface Store {
  readonly kind: 'disk' | 's3';

  /** Uploads that do not pass through us. */
  readonly direct: DirectUploads;

  /** Whether objects can be locked here, as far as the store lets itself be asked. */
  canLock(): Promise<boolean>;

  /**
   * Streams `source` to `key`, hashing in flight, and verifies what the store then holds.
   * Throws `CHECKSUM_MISMATCH` or `SIZE_MISMATCH` when the bytes are not those expected, `EMPTY_FILE` for
   * no bytes, `TOO_LARGE` past `maxSize`, `ORIGIN_UNREADABLE` when the source fails or ends early.
   */
  put(key: string, source: Source, options: PutOptions): Promise<StoredFacts>;

  /** Makes `to` the same bytes as `from` inside the store, verified as `put` does. `NOT_FOUND` without `from`. */
  copy(from: string, to: string, options: PutOptions): Promise<StoredFacts>;

  /** Ends for good what `put` began at `key` and noted in `journal`, so that nothing of it stays. Nothing begun is fine. */
  abandon(key: string, journal: Journal): Promise<void>;

  /**
   * Puts that were begun and neither came to their end nor were abandoned, of keys under `prefix`, in byte order of keys
   * and after the `next` of the page before; at most `limit` (1000).
   */
  listUploads(
    prefix: string,
    page?: { after?: string | undefined; limit?: number },
  ): Promise<{ uploads: OpenUpload[]; next?: string | undefined }>;

  /** Ends one of them for good; one that is over is fine. */
  abortUpload(upload: Pick<OpenUpload, 'key' | 'uploadId'>): Promise<void>;

  /**
   * Takes the object at `key` out of service: its bytes, whatever they are, are at `quarantineKey(key)` afterwards and
   * nothing is at `key`. False without such an object; repeating it is fine.
   */
  quarantine(key: string): Promise<boolean>;

  /** The bytes, or the inclusive `range` of them. Throws `NOT_FOUND`, `RANGE_NOT_SATISFIABLE`. */
  get(
    key: string,
    options?: { range?: ByteRange; signal?: AbortSignal },
  ): Promise<{ body: Readable; info: ObjectInfo }>;

  /** Facts of the object, or undefined when there is none. */
  head(key: string): Promise<ObjectInfo | undefined>;

  /**
   * Keys under `prefix` in byte order, after `after`, at most `limit` (1000); `next` is the `after` of the next page. What is
   * there under no key that could be asked for is left out.
   */
  list(
    prefix: string,
    page?: { after?: string | undefined; limit?: number },
  ): Promise<{ objects: ObjectInfo[]; next?: string | undefined }>;

  /** Deletes the keys; one that is not there is fine. */
  deleteMany(keys: readonly string[]): Promise<void>;

  /**
   * A URL that serves the object by GET, with ranges, until `expiresAt`. A path (leading `/`) when the
   * API itself serves it: the reader puts the base on. `filename` sets the download name.
   */
  signGet(
    key: string,
    options: { expiresInSeconds: number; filename?: string; download?: boolean },
  ): Promise<{ url: string; expiresAt: number }>;

  /** Resolves when the store answers and can be written to. */
  check(): Promise<void>;

  close(): Promise<void>;
}

/** Where bytes come from. `open` may be called again after a failure, from any offset below the size. */
export interface Source {
  /** Bytes, when known before reading. */
  readonly size?: number | undefined;
  /** A stream of the bytes from `offset` on. */
  open(offset: number, signal?: AbortSignal): Promise<Readable>;
  /**
   * Of an origin that, as its first opening showed, can be read from its start only: what it then said of its size.
   * Undefined for any other.
   */
  fromStartOnly?(): { readonly size: number | undefined } | undefined;
}

/** First and last byte, both included, as in an HTTP Range. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface PutOptions {
  readonly contentType: string;
  /** SHA-256 the caller announced; a different one is `CHECKSUM_MISMATCH`. */
  readonly checksum?: string | undefined;
  readonly maxSize?: number | undefined;
  /** Name for a download, kept with the object. */
  readonly filename?: string | undefined;
  /** Small strings kept with the object. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Keeps the object from being deleted or replaced; `LOCK_NOT_APPLIED` unless the store confirms it. */
  readonly lock?: ObjectLock | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Once aborted, no further part is begun: those on their way are finished and noted in the journal, and the put rejects
   * with its reason. What is stored then is not sent again by whoever goes on.
   */
  readonly park?: AbortSignal | undefined;
  /** Bytes done so far; never falls within one call. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** Bytes taken from the source so far: ahead of those done by what is on its way to the store. */
  readonly onRead?: ((bytes: number) => void) | undefined;
  /** Whether the put waits for more of its source from now on, or for the store. */
  readonly onWait?: ((whom: 'origin' | 'store') => void) | undefined;
  /** Where a multipart put keeps what another process needs to go on with it. */
  readonly journal?: Journal | undefined;
}

/** A few durable fields beside a job. `write` rejects when the writer no longer owns the job. */
export interface Journal {
  read(): Promise<Readonly<Record<string, string>>>;
  write(fields: Readonly<Record<string, string>>): Promise<void>;
}

/** A put that has begun and not ended. */
export interface OpenUpload {
  readonly key: string;
  readonly uploadId: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

export interface ObjectInfo {
  readonly key: string;
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly lastModified: number;
  readonly etag: string;
  readonly contentType?: string | undefined;
  readonly checksum?: string | undefined;
  readonly filename?: string | undefined;
}
