import { AppError } from '#errors';
import type { Metadata } from '#metadata/metadata.ts';
import type { LiveJobs } from '#queues/live-jobs.ts';
import { quarantineKey } from '#storage/keys.ts';
import type { Store } from '#storage/store.ts';
import { pairUp } from './reconcile-merge.ts';
import { type Finding, isPast, type Walk } from './reconcile-walk.ts';

export interface QuarantinePorts {
  readonly store: Pick<Store, 'list' | 'head'>;
  readonly metadata: Pick<Metadata, 'scanAssets' | 'listQuarantined' | 'putQuarantined' | 'removeQuarantined'>;
  readonly liveJobs: Pick<LiveJobs, 'upload'>;
}

const PAGE = 500;

/** Objects in quarantine beside the notes of them. */
export function quarantineWalk({ store, metadata, liveJobs }: QuarantinePorts): Walk {
  const ownKey = (key: string) => key.slice(quarantineKey('').length);
  /** A replay takes an object back in two steps. */
  async function isWorkedOn(key: string): Promise<boolean> {
    const { assets } = await metadata.scanAssets(key, { limit: 1 });
    const row = assets.find(({ s3Key }) => s3Key === key);
    return row !== undefined && (await liveJobs.upload(row.jobId)) === 'working';
  }
  return {
    name: 'quarantine',
    async page(place, look) {
      const { prefix } = look;
      // Notes are not asked for by prefix: they are read from just before it on.
      const from = place ?? prefix.slice(0, -1);
      const [objects, notes] = await Promise.all([
        store.list(quarantineKey(prefix), { after: place && quarantineKey(place), limit: PAGE }),
        metadata.listQuarantined({ after: from || undefined, limit: PAGE }),
      ]);
      const own = notes.objects.filter(({ s3Key }) => s3Key.startsWith(prefix));
      const isBeyond = own.length > 0 && own.length < notes.objects.length && own.at(-1) !== notes.objects.at(-1);
      const { pairs, next } = pairUp(
        { items: objects.objects, next: objects.next && ownKey(objects.next) },
        { items: own, next: isBeyond ? undefined : notes.next },
        { left: ({ key }) => ownKey(key), right: ({ s3Key }) => s3Key },
      );
      const alone = pairs.filter(({ left, right }) => {
        if (left && right) return false;
        return isPast('half a quarantine', right?.at ?? left?.lastModified ?? 0, look);
      });
      return {
        suspects: alone.map(({ key, right }) => ({ subject: key, ...(right && { place: 'noted' }) })),
        scanned: { quarantined: pairs.filter(({ left }) => left).length },
        next,
      };
    },
    async judge(suspects) {
      const found: Finding[] = [];
      for (const suspect of suspects) {
        if (await isWorkedOn(suspect.subject)) continue;
        const isThere = (await store.head(quarantineKey(suspect.subject))) !== undefined;
        if (isThere && suspect.place === undefined)
          found.push({ class: 'unnoted-quarantine', detail: 'An object in quarantine that nobody noted.', suspect });
        if (!isThere && suspect.place !== undefined)
          found.push({ class: 'lost-quarantine', detail: 'A note of an object that is not in quarantine.', suspect });
      }
      return found;
    },
    async repair(finding, look, plan) {
      const { subject: s3Key } = finding.suspect;
      if (finding.class === 'lost-quarantine') {
        await plan('forgotten');
        return metadata.removeQuarantined([s3Key]);
      }
      await plan('noted');
      const reason = new AppError('JOB_LOST', 'It was found in quarantine, and why it came there is not known.');
      await metadata.putQuarantined([{ s3Key, reason: reason.toFacts(), at: look.now }]);
    },
  };
}
