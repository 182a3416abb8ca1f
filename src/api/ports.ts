import type { Breakers } from '#breakers/breakers.ts';
import type { LastKnown } from '#cache/last-known.ts';
import type { UrlCache } from '#cache/url-cache.ts';
import type { Config } from '#config';
import type { Logger } from '#log';
import type { AuditLog } from '#metadata/audit-log.ts';
import type { AssetRow, Metadata } from '#metadata/metadata.ts';
import type { StatusOutbox } from '#metadata/status-outbox.ts';
import type { Metrics } from '#metrics';
import type { Producer } from '#queues/producer.ts';
import type { DiskUrl } from '#storage/disk-url.ts';
import type { Store } from '#storage/store.ts';

/** What the API is a function of. */
export interface ApiPorts {
  readonly config: Pick<Config, 'uploadRoots' | 'urlOrigins' | 'admin' | 'publicUrl' | 'urls' | 'commit'>;
  readonly store: Store;
  readonly metadata: Metadata;
  readonly breakers: Pick<Breakers, 'list'>;
  /** Status writes on their way to Convex: what was accepted can be seen before its row is there. */
  readonly outbox: Pick<StatusOutbox, 'put' | 'get' | 'size'>;
  /** Rows for the time Convex is away. */
  readonly lastKnown: LastKnown<AssetRow>;
  /** Where deeds that somebody may ask about later are recorded. */
  readonly audit: Pick<AuditLog, 'record'>;
  readonly producer: Producer;
  readonly urlCache: UrlCache;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: () => number;
  /** Aborted when no more requests are taken: streams end then. */
  readonly closing: AbortSignal;
  /** The person a token names, undefined when it is not valid. */
  readonly verifyViewer: (token: string) => Promise<{ subject: string } | undefined>;
  /** What a signed URL of the disk store grants, given its path and query. Throws `FORBIDDEN`. */
  readonly verifyDiskUrl: (pathAndQuery: string) => DiskUrl;
}
