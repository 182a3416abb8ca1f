import type { AssetFacts } from '#domain';
import type { AppError } from '#errors';
import type { Logger } from '#log';
import type { StatusUpdate } from '#metadata/metadata.ts';
import type { StatusOutbox } from '#metadata/status-outbox.ts';
import type { Pack, PackFile } from '#queues/catalog.ts';
import type { Run } from './run.ts';
import type { UploadState } from './upload-state.ts';

/** Progress reaches people this often, in milliseconds. */
const INTERVAL = 250;

/** Tells the outbox how the files of one pack fare. Old news is held back by the fence of each write. */
export interface StatusReporter {
  /** Bytes of a file that are done. The first are sent at once, later ones now and then, with those of the pack's other files. */
  progress(file: PackFile, bytes: number, size: number | undefined): void;
  /** A status of the file, newer than any before; `nextRetryAt` when there will be another try. */
  statusOf(file: PackFile, status: 'uploading' | 'error', about?: About): StatusUpdate;
  /** Sends a status at once. */
  report(files: readonly PackFile[], status: 'uploading' | 'error', about?: About): Promise<void>;
}

interface About {
  readonly error?: AppError;
  readonly nextRetryAt?: number;
}

interface ReporterPorts {
  readonly outbox: Pick<StatusOutbox, 'put'>;
  readonly log: Logger;
  readonly now: () => number;
}

/** Reports how the files of one pack fare in one run, fenced by that run. */
export function createStatusReporter(ports: ReporterPorts, pack: Pack, run: Run, state: UploadState): StatusReporter {
  const fractions = new Map<string, number>();
  const changed = new Set<PackFile>();
  let lastSent = Number.NEGATIVE_INFINITY;

  const update = (file: PackFile): StatusUpdate => ({
    facts: assetFacts(pack, file, run.jobId),
    fence: run.nextFence(state.generation),
    status: 'uploading',
    progress: fractions.get(file.assetId) ?? 0,
    size: file.size,
    attempt: state.triesOf(file.assetId) + 1,
    maxAttempts: run.maxAttempts,
  });

  const statusOf: StatusReporter['statusOf'] = (file, status, { error, nextRetryAt } = {}) => {
    return { ...update(file), status, nextRetryAt, error: error?.toFacts() };
  };

  return {
    progress(file, bytes, size) {
      if (size === undefined || size === 0) return;
      fractions.set(file.assetId, Math.min(1, bytes / size));
      changed.add(file);
      // The whole of a file is news only once it is committed.
      if (bytes >= size || ports.now() - lastSent < INTERVAL) return;
      lastSent = ports.now();
      const updates = [...changed].map(update);
      changed.clear();
      run.progress([...fractions.values()].reduce((sum, fraction) => sum + fraction, 0) / pack.files.length);
      ports.outbox.put(updates).catch((err: unknown) => ports.log.warn({ err }, 'A progress report was lost'));
    },
    statusOf,
    async report(files, status, about) {
      await ports.outbox.put(files.map((file) => statusOf(file, status, about)));
    },
  };
}

/** What is known of a file since intake. */
export function assetFacts(pack: Pack, file: PackFile, jobId: string): AssetFacts {
  const { batchId, entity, correlationId, createdBy, createdAt } = pack;
  const { origin: _origin, size: _size, checksum: _checksum, lock: _lock, typeGuessed: _guessed, ...own } = file;
  return { ...own, entity, batchId, jobId, correlationId, createdBy, createdAt };
}
