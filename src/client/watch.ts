import type { Asset } from '#answers';
import type { EntityRef } from '#domain';
import type { ListAssetsOptions, ReelayClient } from './client.ts';
import {
  assetDone,
  batchDone,
  changes,
  entityChanges,
  type Following,
  jobChanges,
  type Seen,
  type Watchable,
} from './follow.ts';
import type { CallOptions } from './retry.ts';
import type { Transport } from './transport.ts';

export interface WatchOptions extends CallOptions, Pick<ListAssetsOptions, 'assetType' | 'history'> {}

/** Who waits for an end bears an API that is away at least as long. */
const RETRY_FOR_MS = 60_000;
/** The most a page holds. */
const PAGE = 1_000;

type Reads = Pick<ReelayClient, 'getBatch' | 'getJob' | 'getAsset' | 'listAssets'>;

export function createWatch(transport: Transport, reads: Reads): ReelayClient['watch'] {
  async function* everyAsset(entity: EntityRef, options: ListAssetsOptions): AsyncGenerator<Asset> {
    let cursor: string | undefined;
    do {
      const page = await reads.listAssets(entity, { ...options, cursor, limit: PAGE });
      yield* page.assets;
      cursor = page.next;
    } while (cursor !== undefined);
  }

  return <T extends Watchable>(target: T, { assetType, history, ...own }: WatchOptions = {}) => {
    const call = { retryForMs: Math.max(transport.retryForMs, RETRY_FOR_MS), ...own };
    const following: Following = { pause: transport.pause, signal: own.signal };
    const of = (watched: Watchable): AsyncGenerator<Seen<Watchable>, void> => {
      if ('batchId' in watched) return changes(() => reads.getBatch(watched.batchId, call), batchDone, following);
      if ('assetId' in watched) return changes(() => reads.getAsset(watched.assetId, call), assetDone, following);
      if ('jobId' in watched) {
        const path = `/v1/jobs/${encodeURIComponent(watched.jobId)}/events`;
        const events = () =>
          transport.open(path, { headers: { accept: 'text/event-stream' } }, { ...call, retryForMs: 0 });
        return jobChanges(events, () => reads.getJob(watched.jobId, call), following);
      }
      return entityChanges(() => everyAsset(watched, { assetType, history, ...call }), following);
    };
    return of(target) as AsyncGenerator<Seen<T>, void>;
  };
}
