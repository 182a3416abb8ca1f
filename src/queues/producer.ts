import type { EntityRef } from '#domain';
import type { ErrorFacts } from '#errors';
import type { Lane, PackFile } from './catalog.ts';

/** What intake hands over once every byte it was given is staged. */
export interface AcceptRequest {
  readonly batchId: string;
  readonly entity: EntityRef;
  readonly packs: readonly PlannedPack[];
  readonly correlationId: string;
  readonly createdBy: string;
  readonly createdAt: number;
}

export interface PlannedPack {
  readonly lane: Exclude<Lane, 'maintenance'>;
  readonly files: readonly Omit<PackFile, 'acceptedSeq'>[];
}

/** `size` sums the known sizes of the pack, in bytes. */
export interface AcceptedBatch {
  readonly batchId: string;
  readonly jobs: readonly { jobId: string; lane: Lane; size: number; files: readonly PackFile[] }[];
}

export interface BatchView {
  readonly batchId: string;
  readonly project: string;
  readonly owner: string;
  readonly state: 'accepted' | 'running' | 'done';
  readonly total: number;
  readonly successful: readonly string[];
  readonly failed: readonly { assetId: string; error: ErrorFacts }[];
  /** Bytes announced at intake. */
  readonly size: number;
  readonly createdAt: number;
}

export interface JobView {
  readonly jobId: string;
  readonly batchId: string;
  readonly project: string;
  readonly lane: Lane;
  readonly state: 'waiting' | 'active' | 'delayed' | 'completed' | 'failed';
  /** 0 to 1. */
  readonly progress: number;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly nextRetryAt?: number | undefined;
  readonly error?: ErrorFacts | undefined;
  readonly files: readonly { assetId: string; filename: string }[];
}

/** The way in to the queues. Throws `AppError` `QUEUE_UNAVAILABLE` at once while Redis is away. */
export interface Producer {
  /** Writes the batch record, enqueues its packs, marks it accepted. Resolved means Redis has it on disk. */
  accept(request: AcceptRequest): Promise<AcceptedBatch>;
  getBatch(batchId: string): Promise<BatchView | undefined>;
  getJob(jobId: string): Promise<JobView | undefined>;
  /** Newest first, over all lanes; `project` narrows. At most `limit`. */
  listJobs(filter: { state: JobView['state']; project?: string | undefined; limit: number }): Promise<JobView[]>;
  /** True while a worker serves the lanes. */
  hasWorker(): Promise<boolean>;
  /** Resolves when Redis answers and takes writes. */
  check(): Promise<void>;
  close(): Promise<void>;
}
