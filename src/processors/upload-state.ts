import type { StoredFacts } from '#domain';
import type { AppError } from '#errors';
import type { FailedFile, FileEnd } from '#queues/batches.ts';
import type { JobFacts } from '#queues/job-facts.ts';
import { ERROR_FIELD, OVER_FIELD, RETRY_FIELD } from '#queues/job-view.ts';
import type { Journal } from '#storage/store.ts';
import type { Run } from './run.ts';

/**
 * What an upload job remembers from start to start, in its fenced hash; an empty value is none.
 * `end:<assetId>` `ready`, `stored` or the final error; `stored:<assetId>` what the store holds, verified;
 * `tries:<assetId>` the tries a file has spent; `part:<assetId>:…` the store's journal; `away` since when a dependency
 * is away; `error` the last error; `retryAt` when the next try is; `over` once the job is a dead letter, with the starts and
 * stalls it had then; `generation` how often it was replayed in this lane.
 */
export interface UploadState {
  /** Raised by each replay. */
  readonly generation: number;
  endOf(assetId: string): FileEnd[1] | undefined;
  storedOf(assetId: string): StoredFacts | undefined;
  /** Tries that the file has spent in earlier starts. */
  triesOf(assetId: string): number;
  /**
   * Since when a dependency is away, as far as it was asked all the time, without a file having come to its end;
   * milliseconds since the epoch.
   */
  readonly awaySince: number | undefined;
  journal(assetId: string): Journal;
  /** Notes what the store holds, undefined for nothing any more. Resolves when it is written, with what came up meanwhile. */
  noteStored(assetId: string, stored: StoredFacts | undefined): Promise<void>;
  writeEnds(files: readonly FileEnd[]): Promise<void>;
  /** What keeps the job from its end, and when it is tried again; undefined for never. */
  writeTrouble(error: AppError, trouble?: Trouble): Promise<void>;
  /** The job is about to be a dead letter: whoever starts it again replays it. */
  writeOver(error: AppError): Promise<void>;
}

interface Trouble {
  readonly retryAt: number;
  readonly awaySince: number | undefined;
  /** Tries spent by now, by file. */
  readonly tries: readonly (readonly [assetId: string, tries: number])[];
}

/** A next try this late, in milliseconds, was nobody's to make: no worker ran, so that nobody knows what was away. */
const UNTRIED = 900_000;

/**
 * Reads the state at `now`, in milliseconds since the epoch. That of a dead letter is opened again, and the files that
 * failed have all their tries again; one that BullMQ never heard of is none yet, and fails again. `replaysBefore` are
 * those in the lane that the job came from.
 */
export async function readUploadState(
  run: Pick<Run, 'facts' | 'starts' | 'stalls'>,
  replaysBefore: number,
  now: number,
): Promise<UploadState> {
  const { facts } = run;
  const fields: Record<string, string> = { ...(await facts.read()) };
  const over = fields[OVER_FIELD];
  if (over && isReplayed(over, run)) {
    const reopened = reopen(fields);
    await facts.write(reopened);
    Object.assign(fields, reopened);
  }
  const notes = gathered(facts);
  const away = Number(fields.away ?? '');
  const wasTried = now - Number(fields[RETRY_FIELD] ?? '') <= UNTRIED;
  return {
    generation: replaysBefore + Number(fields.generation ?? 0),
    endOf(assetId) {
      const end = fields[`end:${assetId}`] || undefined;
      return end === undefined || end === 'ready' || end === 'stored' ? end : (JSON.parse(end) as FailedFile);
    },
    storedOf(assetId) {
      const stored = fields[`stored:${assetId}`] || undefined;
      return stored === undefined ? undefined : (JSON.parse(stored) as StoredFacts);
    },
    triesOf: (assetId) => Number(fields[`tries:${assetId}`] ?? 0),
    awaySince: away > 0 && wasTried ? away : undefined,
    journal: (assetId) => journalOf(facts, assetId),
    noteStored(assetId, stored) {
      const noted = { [`stored:${assetId}`]: stored === undefined ? '' : JSON.stringify(stored) };
      Object.assign(fields, noted);
      return notes.write(noted);
    },
    async writeEnds(files) {
      if (files.length === 0) return;
      await facts.write(
        Object.fromEntries(
          files.map(([assetId, end]) => [`end:${assetId}`, typeof end === 'string' ? end : JSON.stringify(end)]),
        ),
      );
    },
    writeTrouble: (error, trouble) =>
      facts.writeForGood({
        ...Object.fromEntries(trouble?.tries.map(([assetId, tries]) => [`tries:${assetId}`, String(tries)]) ?? []),
        [ERROR_FIELD]: JSON.stringify(error.toFacts()),
        [RETRY_FIELD]: String(trouble?.retryAt ?? ''),
        away: String(trouble?.awaySince ?? ''),
      }),
    writeOver: (error) =>
      facts.write({
        [ERROR_FIELD]: JSON.stringify(error.toFacts()),
        [RETRY_FIELD]: '',
        [OVER_FIELD]: `${run.starts} ${run.stalls}`,
      }),
  };
}

/**
 * Whether somebody has started a dead letter again, by what it noted as `over`. Not if every start since was taken from its
 * worker: then the one that noted it was, too, before BullMQ knew. One of an earlier version noted less, and is replayed.
 */
function isReplayed(over: string, { starts, stalls }: Pick<Run, 'starts' | 'stalls'>): boolean {
  const [startsThen = 0, stallsThen = 0] = over.split(' ').map(Number);
  return starts - startsThen > stalls - stallsThen;
}

/** Fields that a replay writes: failed files are open again, and what is ready or stored stays. */
function reopen(fields: Readonly<Record<string, string>>): Record<string, string> {
  const failed = Object.keys(fields).filter((field) => field.startsWith('end:') && fields[field]?.startsWith('{'));
  const tries = Object.keys(fields).filter((field) => field.startsWith('tries:'));
  const emptied = Object.fromEntries([...failed, ...tries].map((field) => [field, '']));
  return { ...emptied, [OVER_FIELD]: '', away: '', generation: String(Number(fields.generation ?? 0) + 1) };
}

/** Writes fields one call after the other, each with all that came up during the one before. */
function gathered(facts: JobFacts): Pick<JobFacts, 'write'> {
  let fields: Record<string, string> = {};
  let last = Promise.resolve();
  let next: Promise<void> | undefined;
  return {
    write(more) {
      Object.assign(fields, more);
      next ??= last.then(() => {
        const all = fields;
        fields = {};
        next = undefined;
        return facts.write(all);
      });
      last = next.catch(() => undefined);
      return next;
    },
  };
}

const journalPrefix = (assetId: string): string => `part:${assetId}:`;

/** What the store noted of a file, out of its job's facts. */
export function journalFields(facts: Readonly<Record<string, string>>, assetId: string): Record<string, string> {
  const prefix = journalPrefix(assetId);
  const entries = Object.entries(facts).filter(([field]) => field.startsWith(prefix));
  return Object.fromEntries(entries.map(([field, value]) => [field.slice(prefix.length), value]));
}

function journalOf(facts: JobFacts, assetId: string): Journal {
  const prefix = journalPrefix(assetId);
  return {
    read: async () => journalFields(await facts.read(), assetId),
    write: (fields) =>
      facts.write(Object.fromEntries(Object.entries(fields).map(([field, value]) => [prefix + field, value]))),
  };
}
