import { z } from 'zod';
import type { Logger } from '#log';
import type { Metadata, ScannedAsset } from '#metadata/metadata.ts';
import type { FollowUps } from '#queues/follow-ups.ts';
import type { Jobs } from '#queues/jobs.ts';
import type { ScrubCounts, ScrubPlace, ScrubState } from '#queues/scrub-state.ts';
import type { Store } from '#storage/store.ts';
import { createPace, type Pace } from './pace.ts';
import { type Reread, reread } from './reread.ts';
import type { Processor, Run } from './run.ts';
import { missingObject, otherObject, type Unfit, type WithdrawPorts, withdraw } from './withdraw.ts';

export interface ScrubPorts extends WithdrawPorts, Pick<FollowUps, 'recount'> {
  readonly store: WithdrawPorts['store'] & Pick<Store, 'get'>;
  readonly metadata: WithdrawPorts['metadata'] & Pick<Metadata, 'scanAssets' | 'getAssets'>;
  readonly state: ScrubState;
  readonly getJob: Jobs['getJob'];
  readonly log: Logger;
  /** How many of a hundred ready assets are read in a day; 0 for none. */
  readonly percentPerDay: number;
  /** A clock in milliseconds that never jumps. */
  readonly monotonic: () => number;
}

/** Runs a day, as they are scheduled. */
const RUNS_A_DAY = 24;
/** Objects of a run while nobody knows how many there are: until the first pass is over. */
const FIRST_PASS = 1_000;
const PAGE = 200;
/** Bytes a second: reading for the sake of reading must not hold up uploads. */
const RATE = 16 * 2 ** 20;
/**
 * So many unfit objects of the last ones read are taken out of service, and then no more than this share of them: what is
 * beyond is rather another bucket, or a disk that is not mounted, than damage.
 */
const FEW = 10;
const SHARE = 0.1;
/** Objects read that count as the last ones. */
const LAST = 1_000;
/** What is younger may be somebody's work still, in milliseconds. */
const YOUNG = 3_600_000;

interface Scrub {
  readonly ports: ScrubPorts;
  readonly run: Run;
  readonly pace: Pace;
  /** Reading is not worth being finished when the worker parks. */
  readonly signal: AbortSignal;
}

/**
 * Reads some objects of ready assets again, by key from where the run before stopped, and compares them with their rows.
 * What is missing or different is taken out of service, once it was found so twice, and unless too much is. The place is
 * written after each object, so a run that dies or is parked goes on there.
 */
export function scrubProcessor(ports: ScrubPorts): Processor<'scrub'> {
  return async (_data, run) => {
    if (ports.percentPerDay === 0 || !(await ports.state.begin(run.jobId))) return { end: 'done' };
    const signal = AbortSignal.any([run.signal, run.park]);
    const scrub = { ports, run, signal, pace: createPace(RATE, ports.monotonic) };
    await finishRepair(scrub);
    await walk(scrub, withBudget(await ports.state.place(), run.jobId, ports.percentPerDay));
    return { end: 'done' };
  };
}

function withBudget(place: ScrubPlace, jobId: string, percentPerDay: number): ScrubPlace {
  if (place.jobId === jobId) return place;
  const more = place.total === undefined ? FIRST_PASS : (place.total * percentPerDay) / 100 / RUNS_A_DAY;
  return { ...place, jobId, due: place.due + more };
}

/** Goes on from `start` until nothing is due. It comes past the last key once at most: no object is read twice in a run. */
async function walk(scrub: Scrub, start: ScrubPlace): Promise<void> {
  const { state } = scrub.ports;
  await state.write(start, {});
  const place = await pass(scrub, start);
  if (place.due < 1) return;
  const next = { ...place, cursor: undefined, seen: 0, total: place.seen };
  // What a first pass has left is no share of anything.
  const goesOn = start.cursor !== undefined && start.total !== undefined;
  await state.write({ ...next, due: goesOn ? next.due : 0 }, { passes: 1 });
  if (goesOn) await pass(scrub, next);
}

/** Goes on until nothing is due or there are no more keys, and answers where it is then. */
async function pass(scrub: Scrub, start: ScrubPlace): Promise<ScrubPlace> {
  const { state, metadata } = scrub.ports;
  let place = start;
  let after = start.cursor;
  do {
    const { assets, next } = await metadata.scanAssets('', { after, limit: PAGE });
    for (const asset of assets.filter(({ status }) => status === 'ready')) {
      if (place.due < 1) return place;
      scrub.signal.throwIfAborted();
      const counted = await check(scrub, asset, place);
      place = { ...place, ...lately(place, counted), cursor: asset.s3Key, seen: place.seen + 1, due: place.due - 1 };
      await state.write(place, counted);
    }
    after = next;
  } while (after !== undefined && place.due >= 1);
  return place;
}

/** What one more object makes of the last ones read. */
function lately({ read, unfit }: ScrubPlace, { missing = 0, different = 0 }: Partial<ScrubCounts>) {
  const part = read >= LAST ? 0.5 : 1;
  return { read: read * part + 1, unfit: unfit * part + missing + different };
}

/** Reads one object and compares it, takes its asset out of service when it must, and answers what is counted. */
async function check(scrub: Scrub, asset: ScannedAsset, place: ScrubPlace): Promise<Partial<ScrubCounts>> {
  const { ports, pace, signal } = scrub;
  const found = await reread(ports.store, asset.s3Key, signal, pace);
  const counted = { checked: 1, bytes: found?.size ?? 0 };
  if (isAsSaid(asset, found) || !(await isFault(scrub, asset, found))) return counted;
  const { assetId, entity, s3Key, checksum = '', size } = asset;
  const error = found ? otherObject(s3Key, { size, checksum }, found) : missingObject(s3Key);
  const fault = { ...counted, [found ? 'different' : 'missing']: 1 };
  if (place.unfit + 1 > Math.max(FEW, (place.read + 1) * SHARE)) {
    ports.log.error({ code: error.code, assetId, s3Key, read: place.read, unfit: place.unfit }, HELD);
    return { ...fault, held: 1 };
  }
  await repair(scrub, { assetId, project: entity.project, s3Key, checksum, error }, entity);
  return fault;
}

const HELD =
  'The scrub finds so much missing or different that it leaves it be: is this the right store? `reelay reconcile` tells all';

function isAsSaid({ size, checksum }: ScannedAsset, found: Reread | undefined): boolean {
  return found !== undefined && found.checksum === checksum && found.size === size;
}

/** A second look: old enough, nobody at work on it, the row as it was, and the object once more as it was found. */
async function isFault({ ports, pace, signal }: Scrub, asset: ScannedAsset, found: Reread | undefined) {
  const { assetId, jobId, s3Key, checksum, createdAt } = asset;
  if (checksum === undefined || ports.now() - (found?.info.lastModified ?? createdAt) < YOUNG) return false;
  const state = (await ports.getJob(jobId))?.state;
  if (state !== undefined && state !== 'completed' && state !== 'failed') return false;
  const again = await reread(ports.store, s3Key, signal, pace);
  if (again?.checksum !== found?.checksum) return false;
  const [row] = await ports.metadata.getAssets([assetId]);
  return row?.status === 'ready' && row.checksum === checksum;
}

/** What must be told once an asset is out of service. */
const noted = z.object({ assetId: z.string(), project: z.string(), session: z.string() });

/** Noted before it is begun: after a crash half way no look at the row would find that it was not told. */
async function repair({ ports, run }: Scrub, unfit: Unfit, { session }: ScannedAsset['entity']): Promise<void> {
  const { assetId, project, s3Key, error } = unfit;
  await ports.state.noteUnfit(JSON.stringify({ assetId, project, session }));
  ports.log.warn(
    { code: error.code, assetId, s3Key, details: error.details },
    'The scrub found another object, or none',
  );
  await withdraw(ports, [unfit], { name: 'scrub', jobId: run.jobId });
  await ports.recount(project, session);
}

/** What an earlier run may not have told; whatever else it left undone is found again. */
async function finishRepair({ ports }: Scrub): Promise<void> {
  const text = await ports.state.unfit();
  if (text === undefined) return;
  const { assetId, project, session } = noted.parse(JSON.parse(text));
  await ports.urlCache.drop([assetId], { deleted: false });
  await ports.recount(project, session);
}
