import pLimit from 'p-limit';
import type { Metadata, ScannedAsset } from '#metadata/metadata.ts';
import type { StatusOutbox } from '#metadata/status-outbox.ts';
import type { JobLife, LiveJobs } from '#queues/live-jobs.ts';
import type { StoredFiles } from '#queues/stored-files.ts';
import type { ObjectInfo, Store } from '#storage/store.ts';
import { pairUp } from './reconcile-merge.ts';
import { type RepairPorts, repairObject } from './reconcile-repair.ts';
import { ASSETS, type Finding, isPast, type Look, partOf, type Suspect, type Walk } from './reconcile-walk.ts';

export interface ObjectPorts extends RepairPorts {
  readonly store: RepairPorts['store'] & Pick<Store, 'list'>;
  readonly metadata: RepairPorts['metadata'] & Pick<Metadata, 'scanAssets'>;
  readonly outbox: Pick<StatusOutbox, 'get'>;
  readonly liveJobs: Pick<LiveJobs, 'upload' | 'verdict'>;
  readonly storedFiles: Pick<StoredFiles, 'get'>;
}

const PAGE = 500;
const JUDGED_AT_ONCE = 8;

/** Objects of assets beside the rows of assets. One finding a key. */
export function objectsWalk(ports: ObjectPorts): Walk {
  const { store, metadata } = ports;
  return {
    name: 'objects',
    async page(place, look) {
      const prefix = partOf(ASSETS, look.prefix);
      if (prefix === undefined) return { suspects: [], scanned: {}, next: undefined };
      const [objects, rows] = await Promise.all([
        store.list(prefix, { after: place, limit: PAGE }),
        metadata.scanAssets(prefix, { after: place, limit: PAGE }),
      ]);
      const { pairs, next } = pairUp(
        { items: objects.objects, next: objects.next },
        { items: rows.assets, next: rows.next },
        { left: ({ key }) => key, right: ({ s3Key }) => s3Key },
      );
      const wrong = pairs.filter(({ left, right }) => compare(right, left, look));
      return {
        suspects: wrong.map(({ key, right }) => suspectOf(key, right)),
        scanned: {
          objects: pairs.filter(({ left }) => left).length,
          rows: pairs.filter(({ right }) => right).length,
        },
        next,
      };
    },
    async judge(suspects, look) {
      const judged = await pLimit(JUDGED_AT_ONCE).map(suspects, (suspect) => judge(ports, suspect, look));
      return judged.filter((finding) => finding !== undefined);
    },
    repair: (finding, look, plan) => repairObject(ports, finding, look, plan),
  };
}

function suspectOf(key: string, row: ScannedAsset | undefined): Suspect {
  return row ? { subject: key, assetId: row.assetId, jobId: row.jobId, batchId: row.batchId } : { subject: key };
}

/**
 * Who works on it is asked first and what there is last: whoever was at work then has written what it did. A key without a
 * row may have one on its way: news waits in the outbox until it is there.
 */
async function judge(ports: ObjectPorts, suspect: Suspect, look: Look): Promise<Finding | undefined> {
  const { subject: key, jobId, batchId, assetId } = suspect;
  if (await ports.outbox.get(assetId ?? assetIdIn(key))) return undefined;
  const life = jobId === undefined ? 'over' : await ports.liveJobs.upload(jobId);
  if (life === 'working') return undefined;
  // Its pack is over, and the end of its batch commits it.
  if (batchId !== undefined && assetId !== undefined && (await ports.storedFiles.get(batchId, [assetId])).length > 0)
    return undefined;
  const { assets } = await ports.metadata.scanAssets(key, { limit: 1 });
  const row = assets.find(({ s3Key }) => s3Key === key);
  if (row?.jobId !== jobId) return undefined;
  const found = compare(row, await ports.store.head(key), look, life);
  return found && { ...found, suspect };
}

/** What is wrong between row and object, as far as these tell; `life` is that of the row's job. */
function compare(
  row: ScannedAsset | undefined,
  object: ObjectInfo | undefined,
  look: Look,
  life: JobLife = 'over',
): Pick<Finding, 'class' | 'detail'> | undefined {
  if (object && !isPast('object without its row', object.lastModified, look)) return undefined;
  if (!row) return object && { class: 'orphan-object', detail: 'No row knows the object.' };
  const { status, createdAt } = row;
  if (status === 'ready') return object ? compareReady(row, object) : missing(row, look);
  const isOpen = status === 'pending' || status === 'uploading';
  if (isOpen && !isPast('asset not ready', createdAt, look)) return undefined;
  if (isOpen && life === 'dead')
    return { class: 'stuck-status', detail: `The row is ${status}, and its job is a dead letter.` };
  if (object && life === 'over')
    return { class: 'orphan-object', detail: `The object is there, and its row is ${row.errorCode ?? status}.` };
  if (isOpen) return { class: 'stuck-status', detail: `The row is ${status}, and no job works on it.` };
  return undefined;
}

function compareReady(row: ScannedAsset, object: ObjectInfo): Pick<Finding, 'class' | 'detail'> | undefined {
  if (object.size !== row.size)
    return { class: 'size-mismatch', detail: `The object has ${object.size} bytes, and its row says ${row.size}.` };
  if (object.checksum !== undefined && object.checksum !== row.checksum)
    return { class: 'checksum-mismatch', detail: 'The object has another checksum than its row.' };
  return undefined;
}

function missing({ createdAt }: ScannedAsset, look: Look): Pick<Finding, 'class' | 'detail'> | undefined {
  if (!isPast('asset without its object', createdAt, look)) return undefined;
  return { class: 'missing-object', detail: 'The row is ready, and the store has no such object.' };
}

/** The segment of a key before its file's name. */
export function assetIdIn(key: string): string {
  return key.split('/').at(-2) ?? '';
}
