import type { StoredFacts } from '#domain';
import type { AppError } from '#errors';
import type { PackFile } from '#queues/catalog.ts';
import { LockLostError } from '#queues/job-facts.ts';
import { toJobError } from '#queues/redis-errors.ts';
import { Interrupted, type Run } from './run.ts';

/** How far a file has come in this start. */
export type Stage =
  | { readonly file: PackFile; readonly stored: StoredFacts }
  | { readonly file: PackFile; readonly error: AppError };

/** Keeps an error with its file, so that it does not stop the pack's others. Throws when the run is interrupted. */
export async function attempt(run: Run, file: PackFile, work: () => Promise<StoredFacts>): Promise<Stage> {
  run.signal.throwIfAborted();
  try {
    return { file, stored: await work() };
  } catch (thrown) {
    return { file, error: errorOf(run, thrown) };
  }
}

/** What was thrown as an error of ours; throws it on when this run is over and its job is not. */
export function errorOf(run: Run, thrown: unknown): AppError {
  run.signal.throwIfAborted();
  if (thrown instanceof LockLostError || thrown instanceof Interrupted) throw thrown;
  return toJobError(thrown);
}
