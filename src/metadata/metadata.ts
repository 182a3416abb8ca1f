import type { AssetFacts, AssetStatus, AssetType, EntityRef, Fence, StoredFacts, Visibility } from '#domain';
import type { ErrorFacts } from '#errors';

/**
 * The metadata port: the truth about assets. Adapter: `convex.ts`. Every method throws `AppError`
 * `METADATA_UNAVAILABLE` when it is away (delay, spend no attempt), `METADATA_REJECTED` when it answers but
 * refuses the call as a whole, and `METADATA_FAILED` when it failed in a way that tells nothing.
 */
export interface Metadata {
  /**
   * Makes stored assets `ready`, in one transaction, creating project, session and scene on the way.
   * Each item has its own result, in order; an item already committed answers as the first time.
   */
  commit(items: readonly AssetCommit[]): Promise<CommitResult[]>;

  /** Applies fenced status writes; stale ones are ignored. At most 500. */
  applyStatuses(updates: readonly StatusUpdate[]): Promise<void>;

  /** Creates or updates batch records for people to watch. At most 500. */
  applyBatches(updates: readonly BatchUpdate[]): Promise<void>;

  /** The rows there are, in any order; unknown ids are left out. At most 1,000 ids. */
  getAssets(assetIds: readonly string[]): Promise<AssetRow[]>;

  /** The current assets of an entity; with `history` all of them, by type, newest version first within a type. */
  listAssets(entity: EntityRef, options: ListOptions): Promise<{ assets: AssetRow[]; next?: string | undefined }>;

  /**
   * What is known of every asset whose key is under `prefix`, deleted ones too, in byte order of keys and after the key
   * `after`; at most `limit` (1,000). `next` is the `after` of the next page.
   */
  scanAssets(prefix: string, page: ScanPage): Promise<{ assets: ScannedAsset[]; next?: string | undefined }>;

  /**
   * Takes assets out of service that are `ready` though the store does not have what their rows say: they become `error`,
   * and what showed them shows the newest accepted one that is ready still. A later commit of such an asset makes it ready
   * again under its old version. Answers the ids that were withdrawn; rows that are not `ready`, or have another
   * checksum than that named, stay as they are. At most 200.
   */
  withdraw(items: readonly Withdrawal[]): Promise<string[]>;

  /** The sessions there are with their totals, in any order that stays; `next` is the `after` of the next page. At most 500. */
  scanSessions(page: ScanPage): Promise<{ sessions: SessionTotals[]; next?: string | undefined }>;
  /** Sums what the session's current assets are. With `write` the row is brought up to it. */
  countSession(project: string, session: string, options: { write: boolean }): Promise<Totals>;

  /** Notes what is quarantined, by its key; what is noted already stays as it is. At most 200. */
  putQuarantined(objects: readonly QuarantinedObject[]): Promise<void>;
  /** What is quarantined, in byte order of keys; `next` is the `after` of the next page. At most 500. */
  listQuarantined(page: ScanPage): Promise<{ objects: QuarantinedObject[]; next?: string | undefined }>;
  /** Forgets what is in service again, or gone. At most 200. */
  removeQuarantined(keys: readonly string[]): Promise<void>;

  /** Creates or updates by external id; `created` tells which. */
  upsertSession(project: string, session: string, fields: { name?: string | undefined }): Promise<{ created: boolean }>;
  upsertScene(
    project: string,
    session: string,
    scene: string,
    fields: { name?: string | undefined },
  ): Promise<{ created: boolean }>;

  /** The key whose id it is, revoked and expired ones too: the caller judges. */
  findApiKey(keyId: string): Promise<ApiKey | undefined>;
  putApiKey(key: ApiKey): Promise<void>;

  /** Role of a person in a project, undefined when they have none. */
  findMember(project: string, subject: string): Promise<MemberRole | undefined>;
  putMember(project: string, subject: string, role: MemberRole): Promise<void>;

  /** Every flag there is; few enough to be kept by each process. */
  listFlags(): Promise<Flag[]>;
  /** Creates the flag or replaces it. */
  putFlag(flag: Flag): Promise<void>;

  /** Adds entries to the audit, in their order; one that is there already stays as it is. At most 200. */
  appendAudit(entries: readonly AuditEntry[]): Promise<void>;

  /** Resolves when metadata can be read. */
  check(): Promise<void>;

  /** Version of the functions that are deployed there; undefined when they are too old to tell. */
  version(): Promise<string | undefined>;
}

/** One stored file, to be made ready. The URL, when stored, is what reads hand out until near its expiry. */
export interface AssetCommit {
  readonly facts: AssetFacts;
  readonly stored: StoredFacts;
  readonly url?: { readonly s3Url: string; readonly urlExpiresAt: number } | undefined;
  readonly uploadedAt: number;
  /** Which attempt of its job stored it, from 1. */
  readonly attempt: number;
  readonly maxAttempts: number;
}

/**
 * What became of one item: its version in its entity and type, and whether it became what is shown; or why this one
 * was refused.
 */
export type CommitResult =
  | { readonly assetId: string; readonly ok: true; readonly version: number; readonly current: boolean }
  | { readonly assetId: string; readonly ok: false; readonly error: ErrorFacts };

/** A status write. `progress` is 0 to 1. Creates the row when it is the first to arrive. */
export interface StatusUpdate {
  readonly facts: AssetFacts;
  readonly fence: Fence;
  readonly status: Extract<AssetStatus, 'pending' | 'uploading' | 'error'>;
  readonly progress: number;
  readonly size?: number | undefined;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly nextRetryAt?: number | undefined;
  readonly error?: ErrorFacts | undefined;
}

/** Where a batch stands: `ready` and `failed` count files of `total`. One that knows less than the record changes nothing. */
interface BatchUpdate {
  readonly batchId: string;
  readonly project: string;
  readonly owner: string;
  readonly total: number;
  readonly ready: number;
  readonly failed: number;
  readonly state: 'accepted' | 'running' | 'done';
  readonly createdAt: number;
}

interface ListOptions {
  readonly assetType?: AssetType | undefined;
  readonly history?: boolean | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
}

interface ScanPage {
  readonly after?: string | undefined;
  readonly limit: number;
}

/** What of an asset is compared with the store, and who works on it. */
export interface ScannedAsset
  extends Pick<AssetFacts, 'assetId' | 'entity' | 'assetType' | 's3Key' | 'batchId' | 'jobId' | 'createdAt'> {
  readonly status: AssetStatus;
  readonly current: boolean;
  readonly version?: number | undefined;
  readonly size?: number | undefined;
  readonly checksum?: string | undefined;
  readonly errorCode?: string | undefined;
}

/** `checksum` is that of the row the caller saw: a newer commit is not withdrawn. */
export interface Withdrawal {
  readonly assetId: string;
  readonly checksum: string;
  readonly error: ErrorFacts;
}

/** Bytes and number of a session's current assets, its scenes' included. */
export interface Totals {
  readonly size: number;
  readonly count: number;
}

export interface SessionTotals extends Totals {
  readonly project: string;
  readonly session: string;
}

/** An object that is kept out of service, and why. */
export interface QuarantinedObject {
  /** The key it had; `quarantineKey` of it is where the bytes are. */
  readonly s3Key: string;
  /** The asset it is of, when that is known. */
  readonly assetId?: string | undefined;
  readonly reason: ErrorFacts;
  readonly at: number;
}

/** An asset's row as readers see it. Fields of the stored object are absent until it is `ready`. */
export interface AssetRow extends Omit<AssetFacts, 'jobId' | 'acceptedSeq'> {
  readonly acceptedSeq: number;
  readonly status: AssetStatus;
  readonly progress: number;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly current: boolean;
  readonly visibility: Visibility;
  readonly version?: number | undefined;
  readonly size?: number | undefined;
  readonly checksum?: string | undefined;
  readonly s3Url?: string | undefined;
  readonly urlExpiresAt?: number | undefined;
  readonly uploadedAt?: number | undefined;
  readonly nextRetryAt?: number | undefined;
  readonly error?: ErrorFacts | undefined;
  readonly encryption?: StoredFacts['encryption'];
  readonly lock?: StoredFacts['lock'];
}

export const SCOPES = ['assets:read', 'assets:write', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** A key for agents. Only the SHA-256 of its secret is kept. No `projects` means all of them. */
export interface ApiKey {
  readonly keyId: string;
  readonly secretHash: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly projects?: readonly string[] | undefined;
  readonly createdAt: number;
  readonly expiresAt?: number | undefined;
  readonly revokedAt?: number | undefined;
}

type MemberRole = 'viewer' | 'editor' | 'admin';

/** A switch for a part of a rollout. Without `environments` it is for all of them, and so are `projects`. */
export interface Flag {
  readonly name: string;
  /** Share of the subjects it is on for, 0 to 100. */
  readonly percentage: number;
  readonly environments?: readonly string[] | undefined;
  readonly projects?: readonly string[] | undefined;
}

/** Who did something: an agent by its key's id, a viewer by its subject, the admin by the login's name, or a part of Reelay. */
export interface AuditActor {
  readonly kind: 'agent' | 'viewer' | 'admin' | 'service';
  readonly id: string;
}

/** Who did what to what. It is never changed nor deleted. */
export interface AuditEntry {
  readonly entryId: string;
  readonly at: number;
  readonly actor: AuditActor;
  /** What was done, as `keys.revoke`. */
  readonly action: string;
  /** Id of what it was done to. */
  readonly target: string;
  readonly project?: string | undefined;
  /** JSON of whatever a reader needs besides. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly correlationId: string;
}
