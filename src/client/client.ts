import type { AssetType, EntityRef } from '#domain';
import {
  type Accepted,
  type Asset,
  type AssetPage,
  type AssetUrl,
  type AssetUrls,
  accepted,
  asset,
  assets,
  assetUrl,
  assetUrls,
  type Batch,
  batch,
  type Health,
  health,
  type Job,
  type JobState,
  job,
  jobs,
} from './answers.ts';
import { follow } from './follow.ts';
import { createTransport, type TransportOptions } from './transport.ts';
import { type CallOptions, json, type UploadFile, type UploadFiles, uploadFile } from './upload.ts';

export type { ErrorFacts } from '#errors';
export { JOB_STATES } from './answers.ts';
export { ReelayError } from './error.ts';
export type { FileContent } from './form.ts';
export type { Origin } from './upload.ts';
export type {
  Accepted,
  Asset,
  AssetPage,
  AssetUrl,
  AssetUrls,
  Batch,
  CallOptions,
  Health,
  Job,
  JobState,
  UploadFile,
  UploadFiles,
};

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
 * One Reelay API, typed. Every method throws `ReelayError`: with the API's code, or `UNREACHABLE`,
 * `UNEXPECTED_ANSWER`, `FILE_UNREADABLE`, `FILE_CHANGED`. An aborted signal rejects with its reason.
 * Reads are tried three times, as Retry-After says; uploads are sent once.
 */
export interface ReelayClient {
  /** Sends one file of any size as a stream; memory stays flat. Resolves when the API has accepted it. */
  uploadFile(file: UploadFile, options?: CallOptions): Promise<Accepted>;
  /** Many files in one request. */
  uploadFiles(request: UploadFiles, options?: CallOptions): Promise<Accepted>;
  getBatch(batchId: string, options?: CallOptions): Promise<Batch>;
  /** Resolves when each file of the batch is ready or failed; `onUpdate` sees each change on the way. */
  waitForBatch(batchId: string, options?: CallOptions & { onUpdate?: (batch: Batch) => void }): Promise<Batch>;
  getJob(jobId: string, options?: CallOptions): Promise<Job>;
  /** Newest first. */
  listJobs(options?: ListJobsOptions): Promise<Job[]>;
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
}

/** Makes a client; nothing is sent before its first call. */
export function createClient(options: TransportOptions): ReelayClient {
  const transport = createTransport(options);
  return {
    uploadFile: (file, call) => uploadFile(transport, file, call),
    uploadFiles: (request, call) => transport.send('/v1/uploads', accepted, { ...json(request), ...call }),
    getBatch: (batchId, call) => transport.read(path`/v1/batches/${batchId}`, batch, call),
    waitForBatch: (batchId, { onUpdate, signal } = {}) =>
      follow(
        () => transport.read(path`/v1/batches/${batchId}`, batch, { signal }),
        ({ state }) => state === 'done',
        { onUpdate, signal, pause: transport.pause },
      ),
    getJob: (jobId, call) => transport.read(path`/v1/jobs/${jobId}`, job, call),
    async listJobs({ signal, ...filter } = {}) {
      const answer = await transport.read(`/v1/jobs${query(filter)}`, jobs, { signal });
      return answer.jobs;
    },
    getAsset: (assetId, call) => transport.read(path`/v1/assets/${assetId}`, asset, call),
    getAssetUrl: (assetId, { signal, download, type } = {}) =>
      transport.read(path`/v1/assets/${assetId}/url` + query({ download, type }), assetUrl, { signal }),
    async getAssetUrls(assetIds, call) {
      const answer = await transport.read('/v1/assets/urls', assetUrls, { ...json({ assetIds }), ...call });
      return answer.urls;
    },
    listAssets: ({ project, session, scene }, { signal, assetType, ...page } = {}) => {
      const entity = path`/v1/projects/${project}/sessions/${session}`;
      const within = scene === undefined ? '' : path`/scenes/${scene}`;
      return transport.read(`${entity}${within}/assets${query({ type: assetType, ...page })}`, assets, { signal });
    },
    async download(assetId, call) {
      const response = await transport.open(path`/v1/assets/${assetId}/url?redirect=1`, call);
      return response.body ?? new Blob([]).stream();
    },
    health: (call) => transport.read('/health/ready', health, { ...call, alsoAnswers: 503 }),
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
