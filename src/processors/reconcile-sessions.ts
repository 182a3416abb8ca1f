import pLimit from 'p-limit';
import type { Metadata, SessionTotals } from '#metadata/metadata.ts';
import { assetIdOf } from '#queues/ids.ts';
import type { OpenBatches } from '#queues/open-batches.ts';
import { safeName } from '#storage/keys.ts';
import { ASSETS, type Finding, type Look, type Suspect, type Walk } from './reconcile-walk.ts';

export interface SessionPorts {
  readonly metadata: Pick<Metadata, 'scanSessions' | 'countSession' | 'getAssets'>;
  readonly openBatches: Pick<OpenBatches, 'page'>;
  /** True while a job is about to bring the session's totals up to date. */
  readonly isRecounted: (project: string, session: string) => Promise<boolean>;
}

const PAGE = 200;
const COUNTED_AT_ONCE = 8;

/** Totals of sessions beside what their assets sum up to; those of sessions whose whole folder is under the prefix. */
export function sessionsWalk({ metadata, openBatches, isRecounted }: SessionPorts): Walk {
  const scan = async (place: string | undefined, look: Look) => {
    const { sessions, next } = await metadata.scanSessions({ after: place, limit: PAGE });
    return { next, sessions: sessions.filter((one) => folderOf(one).startsWith(look.prefix)) };
  };
  const differs = async ({ project, session, size, count }: SessionTotals) => {
    const now = await metadata.countSession(project, session, { write: false });
    return now.size !== size || now.count !== count;
  };

  return {
    name: 'sessions',
    async page(place, look) {
      const { sessions, next } = await scan(place, look);
      const wrong = await pLimit(COUNTED_AT_ONCE).map(sessions, differs);
      const suspects = sessions
        .filter((_, at) => wrong[at])
        .map(
          ({ project, session }): Suspect => ({
            subject: nameOf({ project, session }),
            session: { project, session },
            place,
          }),
        );
      return { suspects, scanned: { sessions: sessions.length }, next };
    },
    // The end of a batch has its session counted, and only then is it not open any more: asked for in this order.
    async judge(suspects, look) {
      const found: Finding[] = [];
      const atWork = await sessionsAtWork(openBatches, metadata);
      for (const suspect of suspects) {
        const { project = '', session = '' } = suspect.session ?? {};
        if (atWork.has(suspect.subject) || (await isRecounted(project, session))) continue;
        const { sessions } = await scan(suspect.place, look);
        const row = sessions.find((one) => one.project === project && one.session === session);
        if (row && (await differs(row)) && !(await isRecounted(project, session)))
          found.push({ class: 'drifted-totals', detail: 'Its totals are not what its assets sum up to.', suspect });
      }
      return found;
    },
    async repair({ suspect: { session } }, _look, plan) {
      if (!session) return;
      await plan('recounted');
      await metadata.countSession(session.project, session.session, { write: true });
    },
  };
}

/** Sessions that files may be committed to at this moment, as the first row of each open batch tells. */
async function sessionsAtWork(
  openBatches: SessionPorts['openBatches'],
  metadata: Pick<Metadata, 'getAssets'>,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (let cursor: string | undefined; ; ) {
    const { batches, next } = await openBatches.page(cursor);
    const rows = await metadata.getAssets(batches.map(({ batchId }) => assetIdOf(batchId, 0)));
    for (const { entity } of rows) found.add(nameOf(entity));
    if (next === undefined) return found;
    cursor = next;
  }
}

const nameOf = ({ project, session }: { project: string; session: string }) => `${project}/${session}`;

const folderOf = ({ project, session }: SessionTotals) =>
  `${ASSETS}${safeName(project)}/sessions/${safeName(session)}/`;
