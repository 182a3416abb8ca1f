import type { FindingClass, FindingExample, Repair, Scanned } from '#queues/reconcile-reports.ts';

/**
 * Something that reconciliation goes through a page at a time: a list, or two that should agree. It knows no other walk, so
 * that a further ledger, as a mirror of the metadata, is one more of these in `start.ts`.
 */
export interface Walk {
  readonly name: string;
  /** What looks wrong in the page after `place`, and how much was looked at. */
  page(place: string | undefined, look: Look): Promise<WalkPage>;
  /** Those suspects that are wrong by the newest facts: old enough, and nobody works on them. */
  judge(suspects: readonly Suspect[], look: Look): Promise<Finding[]>;
  /** Brings in order what was judged a moment ago; repeating it is fine. `plan` is told before each deed. */
  repair(finding: Finding, look: Look, plan: Plan): Promise<void>;
}

/** What a run looks for. */
export interface Look {
  readonly jobId: string;
  /** Begin of the keys that it is about; all when empty. */
  readonly prefix: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Ends what takes long, with its reason: the run stops, and another goes on. */
  readonly signal: AbortSignal;
}

/** What a walk found in one page of its list. */
export interface WalkPage {
  readonly suspects: readonly Suspect[];
  readonly scanned: Readonly<Partial<Record<Scanned, number>>>;
  /** The `place` of the page after this one; undefined after the last. */
  readonly next: string | undefined;
}

/** Notes what a repair is about to do, so that what a crash interrupts is counted once. */
export type Plan = (...repairs: readonly Repair[]) => Promise<void>;

/** What looked wrong in a list, which may be old by now; plain JSON. */
export interface Suspect {
  /** A key, or the id of a session or batch. */
  readonly subject: string;
  readonly assetId?: string | undefined;
  readonly jobId?: string | undefined;
  readonly batchId?: string | undefined;
  readonly uploadId?: string | undefined;
  readonly session?: { readonly project: string; readonly session: string } | undefined;
  /** The place of the page it was on. */
  readonly place?: string | undefined;
}

/** What is wrong. */
export interface Finding extends Pick<FindingExample, 'detail'> {
  readonly class: FindingClass;
  readonly suspect: Suspect;
}

const HOUR = 3_600_000;

/**
 * How long each state that is not an end may last before it counts as stuck or stale, in milliseconds; nothing younger is
 * touched. All of them hold only for what no job names: work that waits, and dead letters, may take their time.
 */
const AGE_LIMITS = {
  /** Of an object, since it was last written: its commit follows within seconds. */
  'object without its row': HOUR,
  /** Of an asset `pending` or `uploading`, since it was accepted. */
  'asset not ready': HOUR,
  /** Of an asset `ready` without its object, since it was accepted. */
  'asset without its object': HOUR,
  /** Of a batch `accepting` or `accepted`, since it was accepted: packs that nobody accepts give up after a minute. */
  'batch not ended': HOUR,
  /** Of an upload to a key of an asset, since it began. */
  'upload not ended': HOUR,
  /** Of staged bytes, since they were written: the other files of a form may come in for hours before its job is there. */
  'bytes in staging': 24 * HOUR,
  /** Of bytes staged by their owner, `open` or `complete`, since they expired; a job ends them then. */
  'staging expired': HOUR,
  /** Of an upload into staging, since it began. */
  'upload to staging not ended': 24 * HOUR,
  /** Of a note or an object of quarantine without the other. */
  'half a quarantine': HOUR,
} as const;

/** True for what has been as it is since before the limit. */
export function isPast(limit: keyof typeof AGE_LIMITS, since: number, { now }: Pick<Look, 'now'>): boolean {
  return since <= now - AGE_LIMITS[limit];
}

/** The part of `root` that `prefix` is about; undefined when that is none of it. */
export function partOf(root: string, prefix: string): string | undefined {
  if (prefix.startsWith(root)) return prefix;
  return root.startsWith(prefix) ? root : undefined;
}

/** Folders of the store that are Reelay's; what else is in a bucket is left alone. */
export const ASSETS = 'projects/';
export const STAGED = 'staging/';
