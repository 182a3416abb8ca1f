import { z } from 'zod';
import type { StoredFacts } from '#domain';
import { AppError } from '#errors';
import { parseField } from './journal.ts';
import type { Journal, PutOptions, Source, Store } from './store.ts';
import { copyTyped, putTyped, type Typed } from './typed.ts';

/** Where the bytes of an origin wait that can be read from its start only, and what is noted of them. */
export interface Spool {
  /** A key of its own under `staging/`, the same for every try. */
  readonly key: string;
  /** Has no field until the spool is begun. */
  readonly journal: Journal;
}

/** What the store has whole: field `whole`. */
const wholeRecord = z.object({ size: z.int().positive(), checksum: z.string() });
type Whole = z.infer<typeof wholeRecord>;

/** As much as one part: a break loses no more. In bytes. */
const UNSPOOLED = 8 * 1024 ** 2;

/**
 * `putTyped`, by way of `spool` for an origin that can be read from its start only and is larger than a part, or of a size
 * that nobody knows: its bytes go to staging first, and are copied inside the store from there. Once they are whole in
 * staging no later try reads the origin. Whoever calls this deletes the spool, once it has served or nobody goes on, from
 * quarantine too.
 */
export async function putSpooled(
  store: Store,
  key: string,
  source: Source,
  options: Typed,
  spool: Spool,
): Promise<StoredFacts> {
  const begun = await spool.journal.read();
  if (Object.keys(begun).length > 0) {
    const { checksum } = await fill(store, source, options, spool);
    return copyTyped(store, spool.key, key, { ...options, checksum }).catch(gone);
  }

  async function put(to: string, whole: Source, agreed: PutOptions): Promise<StoredFacts> {
    const shown = whole.fromStartOnly?.();
    if (shown === undefined || (shown.size !== undefined && shown.size <= UNSPOOLED))
      return store.put(to, whole, agreed);
    // An earlier try may have found an origin that could be gone on with.
    if (agreed.journal) await store.abandon(to, agreed.journal);
    await spool.journal.write({ begun: '1' });
    const { checksum } = await fill(store, whole, agreed, spool);
    return store.copy(spool.key, to, { ...agreed, checksum }).catch(gone);
  }
  return putTyped({ put }, key, source, options);
}

/** Has the whole origin in staging; reads it only when it is not there from before. */
async function fill(store: Store, source: Source, options: PutOptions, { key, journal }: Spool): Promise<Whole> {
  const whole = parseField(wholeRecord, (await journal.read()).whole);
  if (whole && (await store.head(key))?.size === whole.size) {
    options.onRead?.(whole.size);
    return whole;
  }
  const { checksum, maxSize, signal, park, onProgress, onRead, onWait } = options;
  const given = { checksum, maxSize, signal, park, onProgress, onRead, onWait, journal };
  const stored = await store.put(key, source, { contentType: 'application/octet-stream', ...given }).catch(unkept);
  const filled = { size: stored.size, checksum: stored.checksum };
  await journal.write({ whole: JSON.stringify(filled) });
  return filled;
}

/** What the store spoils in staging is no evidence that is kept: the file is not stored yet, and its origin has it still. */
function unkept(error: unknown): never {
  if (!(error instanceof AppError && error.details.quarantined)) throw error;
  const { quarantined: _, ...details } = error.details;
  throw new AppError(error.code, error.message, { details, cause: error });
}

function gone(error: unknown): never {
  if (!(error instanceof AppError && error.code === 'NOT_FOUND')) throw error;
  throw new AppError('ORIGIN_UNREADABLE', 'The bytes that were read from the origin are gone from staging.', {
    cause: error,
  });
}
