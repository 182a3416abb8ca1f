import type { Metadata } from '#metadata/metadata.ts';
import type { StatusOutbox } from '#metadata/status-outbox.ts';
import type { LiveJobs } from '#queues/live-jobs.ts';
import type { StagingRecords } from '#queues/staging.ts';
import type { Store } from '#storage/store.ts';
import { assetIdIn } from './reconcile-objects.ts';
import { ASSETS, type Finding, isPast, type Look, partOf, STAGED, type Suspect, type Walk } from './reconcile-walk.ts';
import { spoolingJob } from './spools.ts';

export interface StagingPorts {
  readonly store: Pick<Store, 'list' | 'head' | 'deleteMany' | 'listUploads' | 'abortUpload'>;
  readonly metadata: Pick<Metadata, 'scanAssets'>;
  readonly outbox: Pick<StatusOutbox, 'get'>;
  readonly liveJobs: Pick<LiveJobs, 'upload' | 'needed'>;
  readonly staging: Pick<StagingRecords, 'get'>;
}

const PAGE = 1_000;

/** Staged bytes that no job needs. */
export function stagingWalk({ store, liveJobs, staging }: StagingPorts): Walk {
  const isOld = (object: { lastModified: number } | undefined, look: Look) =>
    object !== undefined && isPast('bytes in staging', object.lastModified, look);
  return {
    name: 'staging',
    async page(place, look) {
      const prefix = partOf(STAGED, look.prefix);
      if (prefix === undefined) return { suspects: [], scanned: {}, next: undefined };
      const { objects, next } = await store.list(prefix, { after: place, limit: PAGE });
      const old = objects.filter((object) => isOld(object, look));
      return { suspects: old.map(({ key }) => ({ subject: key })), scanned: { staging: objects.length }, next };
    },
    async judge(suspects, look) {
      const found: Suspect[] = [];
      for (const suspect of suspects) {
        const isHeld = await isHeldByOwner({ staging, liveJobs }, suspect.subject, look);
        if (!isHeld && isOld(await store.head(suspect.subject), look)) found.push(suspect);
      }
      if (found.length === 0) return [];
      const needed = await liveJobs.needed(new Set(found.map(({ subject }) => subject)));
      const stale = found.filter(({ subject }) => !needed.has(subject));
      return stale.map((suspect) => ({ class: 'stale-staging', detail: 'No job needs these staged bytes.', suspect }));
    },
    async repair({ suspect }, _look, plan) {
      await plan('deleted');
      await store.deleteMany([suspect.subject]);
    },
  };
}

/** Puts that nobody goes on with. */
export function uploadsWalk(ports: StagingPorts): Walk {
  const { store } = ports;
  return {
    name: 'uploads',
    async page(place, look) {
      const { uploads, next } = await store.listUploads(look.prefix, { after: place, limit: PAGE });
      const own = uploads.filter(({ key }) => key.startsWith(ASSETS) || key.startsWith(STAGED));
      const old = own.filter(({ key, startedAt }) => isPast(limitOf(key), startedAt, look));
      return {
        suspects: old.map(({ key, uploadId }) => ({ subject: key, uploadId })),
        scanned: { uploads: own.length },
        next,
      };
    },
    async judge(suspects, look) {
      const found: Finding[] = [];
      for (const suspect of suspects) {
        if (await isWorkedOn(ports, suspect.subject, look)) continue;
        const { uploads } = await store.listUploads(suspect.subject, { limit: PAGE });
        const isThere = uploads.some(({ key, uploadId }) => key === suspect.subject && uploadId === suspect.uploadId);
        if (isThere) found.push({ class: 'stale-upload', detail: 'No job goes on with this upload.', suspect });
      }
      return found;
    },
    async repair({ suspect: { subject: key, uploadId = '' } }, _look, plan) {
      await plan('aborted');
      await store.abortUpload({ key, uploadId });
    },
  };
}

const limitOf = (key: string) => (key.startsWith(STAGED) ? 'upload to staging not ended' : 'upload not ended');

async function isWorkedOn(
  { metadata, outbox, liveJobs, staging }: StagingPorts,
  key: string,
  look: Look,
): Promise<boolean> {
  if (key.startsWith(STAGED)) return isHeldByOwner({ staging, liveJobs }, key, look);
  // News waits in the outbox until its row is there, so the outbox is asked first.
  if (await outbox.get(assetIdIn(key))) return true;
  const { assets } = await metadata.scanAssets(key, { limit: 1 });
  const row = assets.find(({ s3Key }) => s3Key === key);
  return row !== undefined && (await liveJobs.upload(row.jobId)) !== 'over';
}

/** True while bytes that their owner stages have their time, whoever uses them then has a job; and while a job spools. */
async function isHeldByOwner(
  { staging, liveJobs }: Pick<StagingPorts, 'staging' | 'liveJobs'>,
  key: string,
  look: Look,
): Promise<boolean> {
  const jobId = spoolingJob(key);
  if (jobId !== undefined) return (await liveJobs.upload(jobId)) === 'working';
  const stagingId = key.split('/')[1] ?? '';
  const record = stagingId.startsWith('st_') ? await staging.get(stagingId) : undefined;
  if (record?.state !== 'open' && record?.state !== 'complete') return false;
  return !isPast('staging expired', record.expiresAt, look);
}
