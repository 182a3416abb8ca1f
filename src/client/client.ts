import {
  type Accepted,
  type Asset,
  type AssetPage,
  type AssetUrl,
  type AssetUrls,
  asset,
  assets,
  assetUrl,
  assetUrls,
  type Batch,
  batch,
  health,
  type Job,
  type JobState,
  job,
  jobs,
  type Planned,
  type Status,
  status,
} from '#answers';
import type { AssetType, EntityRef } from '#domain';
import { createDeadLetterCalls, type DeadLetterCalls } from './dead-letters.ts';
import type { Seen, Watchable } from './follow.ts';
import { json } from './json.ts';
import { createReconcileCalls, type ReconcileCalls } from './reconcile.ts';
import type { CallOptions } from './retry.ts';
import { createTransport, type Transport, type TransportOptions } from './transport.ts';
import {
  dryRun,
  type UploadFile,
  type UploadFileOptions,
  type UploadFiles,
  type UploadOptions,
  uploadFile,
  uploadFiles,
} from './upload.ts';
import { createWatch, type WatchOptions } from './watch.ts';

export type {
  DeadLetter,
  DeadLetterPage,
  DiscardRun,
  LetterGroup,
  LettersPlanned,
  ReconcileReport,
  ReplayRun,
} from '#answers';
export { JOB_STATES } from '#answers';
export type { ErrorFacts } from '#errors';
export type { FileContent } from './content.ts';
export type { ChosenLetters, DeadLetterCalls } from './dead-letters.ts';
export { ReelayError } from './error.ts';
export type { ReconcileCalls } from './reconcile.ts';
export type { Metadata, Origin } from './upload.ts';
export type {
  Accepted,
  Asset,
  AssetPage,
  AssetUrl,
  AssetUrls,
  Batch,
  CallOptions,
  Job,
  JobState,
  Planned,
  Seen,
  Status,
  TransportOptions as ClientOptions,
  UploadFile,
  UploadFileOptions,
  UploadFiles,
  UploadOptions,
  Watchable,
  WatchOptions,
};

/** Whether uploads are carried out now: what is away while intake works, and what keeps the whole from serving. */
export interface Health {
  readonly ready: boolean;
  readonly degraded: readonly string[];
  readonly missing: readonly string[];
}

export interface UrlOptions extends CallOptions {
  /** The URL makes a browser save the file instead of showing it. */
  readonly download?: boolean | undefined;
  /** `public` asks for an unsigned URL, `signed` for one that expires. */
  readonly type?: 'public' | 'signed' | undefined;
}

export interface ListJobsOptions extends CallOptions {
  /** `active` unless named. */
  readonly state?: JobState | undefined;
  readonly project?: string | undefined;
  readonly limit?: number | undefined;
}

export interface ListAssetsOptions extends CallOptions {
  readonly assetType?: AssetType | undefined;
  /** Includes assets that are no longer current. */
  readonly history?: boolean | undefined;
  /** `next` of the page before. */
  readonly cursor?: string | undefined;
  readonly limit?: number | undefined;
}

/**
 * One Reelay API, typed; for browsers and Node. `createClient` of `node.ts` adds what reads this machine's files.
 * Every method throws `ReelayError`, whose `code` is the API's, or `UNREACHABLE`, `UNEXPECTED_ANSWER`, `FILE_CHANGED`.
 * An aborted signal rejects with its reason. What may pass (no answer, 429, 503 and other retryable codes) is tried
 * again for `retryForMs`, no sooner than Retry-After asks; uploads too, under one idempotency key.
 */
export interface ReelayClient {
  /**
   * Sends one file of any size; a stream leaves memory flat. Above 64 MiB, content that can be read in parts goes by
   * staging, past the API where the store is S3, and can be gone on with. Resolves when the API has accepted it.
   */
  uploadFile(file: UploadFile, options?: UploadFileOptions): Promise<Accepted>;
  /** Many files in one request. */
  uploadFiles(request: UploadFiles, options?: UploadOptions): Promise<Accepted>;
  /** How the same request would be divided into jobs; nothing is uploaded. */
  dryRun(request: UploadFiles, options?: CallOptions): Promise<Planned>;
  getBatch(batchId: string, options?: CallOptions): Promise<Batch>;
  /** Resolves when each file of the batch is ready or failed; `onUpdate` sees each change on the way. */
  waitForBatch(batchId: string, options?: CallOptions & { onUpdate?: (batch: Batch) => void }): Promise<Batch>;
  /**
   * Each change as it is seen, the present state first. Ends with the batch, asset or job; of a scene or session it
   * gives each asset that is new or changed, until the signal is aborted or the loop is left. An API that is away is
   * waited for, `retryForMs` (a minute unless given).
   */
  watch<T extends Watchable>(target: T, options?: WatchOptions): AsyncGenerator<Seen<T>, void>;
  getJob(jobId: string, options?: CallOptions): Promise<Job>;
  /** Newest first. */
  listJobs(options?: ListJobsOptions): Promise<Job[]>;
  /** Stops a job before its commit, `CONFLICT` after it. Its files end as `error` with `CANCELLED`; gives the job now. */
  cancelJob(jobId: string, options?: CallOptions): Promise<Job>;
  /** What failed for good: to look at, replay, discard. */
  readonly deadLetters: DeadLetterCalls;
  /** What differs between store, Convex and Redis: to be told, or mended. */
  readonly reconcile: ReconcileCalls;
  getAsset(assetId: string, options?: CallOptions): Promise<Asset>;
  getAssetUrl(assetId: string, options?: UrlOptions): Promise<AssetUrl>;
  /** At most 1,000 ids; an answer for each. */
  getAssetUrls(assetIds: readonly string[], options?: CallOptions): Promise<AssetUrls>;
  /** The assets of a scene, or of a session itself, newest version first. */
  listAssets(entity: EntityRef, options?: ListAssetsOptions): Promise<AssetPage>;
  /** The bytes, from wherever the asset's URL leads. */
  download(assetId: string, options?: CallOptions): Promise<ReadableStream<Uint8Array>>;
  /** Whether the API and a worker serve; not being ready is an answer, not an error. */
  health(options?: CallOptions): Promise<Health>;
  /** That, and who is cut off from what, the queues and the status outbox; for keys with the scope `admin`. */
  status(options?: CallOptions): Promise<Status>;
}

/** Makes a client; nothing is sent before its first call. */
export function createClient(options: TransportOptions): ReelayClient {
  const transport = createTransport(options);
  const reads = createReads(transport);
  const watch = createWatch(transport, reads);
  return {
    ...reads,
    watch,
    deadLetters: createDeadLetterCalls(transport),
    reconcile: createReconcileCalls(transport),
    uploadFile: (file, call) => uploadFile(transport, file, call),
    uploadFiles: (request, call) => uploadFiles(transport, request, call),
    dryRun: (request, call) => dryRun(transport, request, call),
    async waitForBatch(batchId, { onUpdate, ...call } = {}) {
      let last: Batch | undefined;
      for await (const seen of watch({ batchId }, call)) {
        onUpdate?.(seen);
        last = seen;
      }
      return last ?? reads.getBatch(batchId, call);
    },
    cancelJob: (jobId, call) => transport.read(path`/v1/jobs/${jobId}`, job, { method: 'DELETE' }, call),
    async download(assetId, call) {
      const response = await transport.open(path`/v1/assets/${assetId}/url?redirect=1`, {}, call);
      return response.body ?? new Blob([]).stream();
    },
  };
}

type Reads = Pick<
  ReelayClient,
  'getBatch' | 'getJob' | 'listJobs' | 'getAsset' | 'getAssetUrl' | 'getAssetUrls' | 'listAssets' | 'health' | 'status'
>;

function createReads({ read }: Transport): Reads {
  return {
    getBatch: (batchId, call) => read(path`/v1/batches/${batchId}`, batch, {}, call),
    getJob: (jobId, call) => read(path`/v1/jobs/${jobId}`, job, {}, call),
    async listJobs({ state, project, limit, ...call } = {}) {
      return (await read(`/v1/jobs${query({ state, project, limit })}`, jobs, {}, call)).jobs;
    },
    getAsset: (assetId, call) => read(path`/v1/assets/${assetId}`, asset, {}, call),
    getAssetUrl: (assetId, { download, type, ...call } = {}) =>
      read(path`/v1/assets/${assetId}/url` + query({ download, type }), assetUrl, {}, call),
    getAssetUrls: async (assetIds, call) => (await read('/v1/assets/urls', assetUrls, json({ assetIds }), call)).urls,
    listAssets: ({ project, session, scene }, { assetType, history, cursor, limit, ...call } = {}) => {
      const entity = path`/v1/projects/${project}/sessions/${session}`;
      const within = scene === undefined ? '' : path`/scenes/${scene}`;
      const page = query({ type: assetType, history, cursor, limit });
      return read(`${entity}${within}/assets${page}`, assets, {}, call);
    },
    status: (call) => read('/v1/admin/status', status, {}, call),
    async health(call) {
      const { ready, degraded = [], missing = [] } = await read('/health/ready', health, { alsoAnswers: 503 }, call);
      return { ready, degraded, missing };
    },
  };
}

/** A path whose ids are escaped, so that an id with a slash stays one segment. */
function path(strings: TemplateStringsArray, ...ids: string[]): string {
  return String.raw({ raw: strings }, ...ids.map(encodeURIComponent));
}

/** A query of the fields that are set; `true` is written as 1, as the API reads its flags. */
function query(fields: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const set = Object.entries(fields).flatMap(([name, value]): [string, string][] =>
    value === undefined || value === false ? [] : [[name, value === true ? '1' : String(value)]],
  );
  return set.length === 0 ? '' : `?${new URLSearchParams(set)}`;
}
