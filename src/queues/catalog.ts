import { z } from 'zod';
import { ASSET_TYPES, LOCK_MODES } from '#domain';
import { AppError } from '#errors';

/** A queue each, so that a small script never waits behind a film. */
export const LANES = ['small', 'large', 'maintenance'] as const;
export type Lane = (typeof LANES)[number];

/**
 * Jobs one worker process runs at a time, by lane. A large one holds a few parts of 8 MiB in memory; those of maintenance
 * mostly wait, some for hours, and the end of a batch must not wait behind them.
 */
export const CONCURRENCY: Readonly<Record<Lane, number>> = { small: 8, large: 2, maintenance: 16 };

const fileOrigin = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('path'), path: z.string() }),
  z.object({ kind: z.literal('url'), url: z.string() }),
  /** Bytes waiting in the store: a whole staged object, or with `offset` and `length` a slice of one. */
  z.object({
    kind: z.literal('staged'),
    key: z.string(),
    slice: z.object({ offset: z.int().min(0), length: z.int().min(0) }).optional(),
  }),
]);
/** Where a worker reads a file from. Inline bytes are staged at intake, so a job never carries bytes. */
export type FileOrigin = z.infer<typeof fileOrigin>;

const packFile = z.object({
  assetId: z.string(),
  assetType: z.enum(ASSET_TYPES),
  filename: z.string(),
  contentType: z.string(),
  /** `contentType` was only guessed from the name, so the bytes may be something else. */
  typeGuessed: z.boolean().optional(),
  s3Key: z.string(),
  acceptedSeq: z.int().positive(),
  visibility: z.enum(['private', 'public']),
  metadata: z.record(z.string(), z.unknown()),
  origin: fileOrigin,
  size: z.int().min(0).optional(),
  checksum: z.string().optional(),
  lock: z.object({ mode: z.enum(LOCK_MODES), until: z.int() }).optional(),
});
export type PackFile = z.infer<typeof packFile>;

const pack = z.object({
  batchId: z.string(),
  entity: z.object({ project: z.string(), session: z.string(), scene: z.string().optional() }),
  files: z.array(packFile).min(1),
  /** Packs of one request wait until the whole batch is accepted; a request of one pack needs no mark. */
  awaitAcceptance: z.boolean(),
  /** When its files become ready: those of each pack when they are stored, or those of the batch all together at its end. */
  commit: z.enum(['each', 'batch']).default('each'),
  /** Which round of its batch it belongs to: one that was given up begins anew. */
  round: z.int().min(0).default(0),
  correlationId: z.string(),
  createdBy: z.string(),
  createdAt: z.int(),
  /** Starts and replays in the lane it moved over from: fences go on rising. */
  startsBefore: z.int().min(0).optional(),
  replaysBefore: z.int().min(0).optional(),
});
/** Files that travel as one job. Immutable once enqueued. */
export type Pack = z.infer<typeof pack>;

const batchEnd = z.object({ batchId: z.string(), correlationId: z.string() });

const recount = z.object({ project: z.string(), session: z.string() });

const stagingExpiry = z.object({ stagingId: z.string() });

const chosenLetters = z.object({
  /** The group they are in. */
  fingerprint: z.string().optional(),
  jobIds: z.array(z.string()).optional(),
  /** They failed then or before, milliseconds since the epoch: what fails anew is another matter. */
  failedBy: z.int(),
});
/** Which dead letters are meant: those that everything given names. */
export type ChosenLetters = z.infer<typeof chosenLetters>;

const aboutLetters = {
  chosen: chosenLetters,
  /** How many there were when it was asked for. */
  total: z.int().min(0),
  correlationId: z.string(),
};
const replay = z.object({ ...aboutLetters, perSecond: z.number().positive() });
const discard = z.object({ ...aboutLetters, reason: z.string() });

const reconcile = z.object({
  /** Begin of the keys that it is about; all when empty. */
  prefix: z.string().default(''),
  repair: z.boolean().default(false),
  force: z.boolean().default(false),
  requestedBy: z.string().default('schedule'),
  requestedAt: z.int().optional(),
});

/** One job, one declaration: everything else about a job is derived from its row here. */
interface JobDeclaration {
  readonly schema: z.ZodType;
  readonly lanes: readonly Lane[];
  readonly attempts: number;
  /** First and last wait between attempts, in milliseconds; doubled in between, with jitter. */
  readonly backoff: { readonly first: number; readonly last: number };
}

const BACKOFF = { first: 1_000, last: 60_000 } as const;
/** Jobs that nobody waits for, and that must come to their end all the more. */
const TIDYING = { lanes: ['maintenance'], attempts: 10, backoff: BACKOFF } as const;

/** Every job there is, by name: the form of its data, the lanes it runs in, how often and how far apart it is tried. */
export const JOBS = {
  /** Puts the files of a pack into the store, verifies them there and commits them to Convex. */
  upload: {
    schema: pack,
    lanes: ['small', 'large'],
    attempts: 3,
    backoff: BACKOFF,
  },
  /** Commits what a batch left to its end, and writes its final record once each of its files is ready or failed. */
  'batch-end': {
    schema: batchEnd,
    ...TIDYING,
  },
  /** Brings the totals of a session up to its assets. */
  recount: {
    schema: recount,
    ...TIDYING,
  },
  /** Reads some objects again, and compares them with their rows. */
  scrub: {
    schema: z.object({}),
    ...TIDYING,
  },
  /** Deletes bytes that were put into staging and that no upload used in time. */
  'staging-expiry': {
    schema: stagingExpiry,
    ...TIDYING,
  },
  /** Compares store, Convex and Redis, says what differs, and brings it in order where that was asked for. */
  reconcile: {
    schema: reconcile,
    ...TIDYING,
  },
  /** Starts dead letters again, so many a second. */
  replay: {
    schema: replay,
    ...TIDYING,
  },
  /** Removes dead letters for good, and what their packs left in the store. */
  discard: {
    schema: discard,
    ...TIDYING,
  },
  /** Discards the oldest dead letters, beyond the age and the bytes that are kept. */
  'dead-letter-sweep': {
    schema: z.object({}),
    lanes: ['maintenance'],
    attempts: 3,
    backoff: BACKOFF,
  },
} as const satisfies Record<string, JobDeclaration>;

export type JobName = keyof typeof JOBS;
export type JobData<Name extends JobName> = z.infer<(typeof JOBS)[Name]['schema']>;

/** Parses a job's data at the door; old jobs outlive deploys. Throws `AppError` `VALIDATION_FAILED`. */
export function parseJobData<Name extends JobName>(name: Name, data: unknown): JobData<Name> {
  const parsed = JOBS[name].schema.safeParse(data);
  if (parsed.success) return parsed.data as JobData<Name>;
  const mistakes = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  throw new AppError('VALIDATION_FAILED', `The data of a job ${name} is not of its form: ${mistakes}`);
}

const anyPack = z.object({
  batchId: z.string().catch(''),
  entity: z.object({ project: z.string().catch('') }).catch({ project: '' }),
  files: z.array(z.object({ assetId: z.string(), filename: z.string() })).catch([]),
  commit: z.enum(['each', 'batch']).catch('each'),
  correlationId: z.string().catch(''),
});
/** What can be told of an upload job's data, of any version. */
export type AnyPack = z.infer<typeof anyPack>;

/** Reads what there is; never throws for an object. */
export function readAnyPack(data: unknown): AnyPack {
  return anyPack.parse(typeof data === 'object' && data !== null ? data : {});
}
