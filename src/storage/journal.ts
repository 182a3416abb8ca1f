import type { z } from 'zod';
import { AppError } from '#errors';
import type { Journal, PutOptions } from './store.ts';

/** The options of a put that another process may go on with. */
export type ResumableOptions = PutOptions & { readonly journal: Journal };

/** Remembers that a write was refused: the job is another's now, and so is what was begun for it. */
export function watchJournal(journal: Journal): Journal & { lost(): boolean } {
  let lost = false;
  return {
    read: () => journal.read(),
    async write(fields) {
      try {
        await journal.write(fields);
      } catch (error) {
        lost = true;
        throw error;
      }
    },
    lost: () => lost,
  };
}

/** A journal's field; what another version or a torn write left there counts as nothing. */
export function parseField<T>(schema: z.ZodType<T>, text: string | undefined): T | undefined {
  try {
    return schema.parse(JSON.parse(text ?? ''));
  } catch {
    return undefined;
  }
}

/**
 * True when a put that failed with `error` is not gone on with by anybody: an error of ours that a retry does not mend,
 * such as `CANCELLED`. A parked put, one that lost its job, and anything unknown are gone on with.
 */
export function isFinal({ signal, park }: Pick<PutOptions, 'signal' | 'park'>, error: unknown): boolean {
  if (park?.aborted && !signal?.aborted) return false;
  const ended = signal?.aborted ? signal.reason : error;
  return ended instanceof AppError && !ended.retryable;
}

/** Aborted once a put shall begin nothing more, for whatever reason. */
export function stopOf({ signal, park }: PutOptions): AbortSignal {
  return AbortSignal.any([signal, park].filter((one) => one !== undefined));
}
