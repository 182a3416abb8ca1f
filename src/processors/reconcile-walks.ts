import { recountId } from '#queues/ids.ts';
import type { Lanes } from '#queues/lanes.ts';
import { type BatchPorts, batchesWalk } from './reconcile-batches.ts';
import { type ObjectPorts, objectsWalk } from './reconcile-objects.ts';
import { type QuarantinePorts, quarantineWalk } from './reconcile-quarantine.ts';
import { type SessionPorts, sessionsWalk } from './reconcile-sessions.ts';
import { type StagingPorts, stagingWalk, uploadsWalk } from './reconcile-staging.ts';
import type { Walk } from './reconcile-walk.ts';

type WalkPorts = ObjectPorts & StagingPorts & QuarantinePorts & BatchPorts & Omit<SessionPorts, 'isRecounted'>;

/** All that reconciliation goes through: what one walk mends, a later one finds in order. */
export function reconcileWalks(ports: WalkPorts, { maintenance }: Pick<Lanes, 'maintenance'>): readonly Walk[] {
  const isRecounted = async (project: string, session: string) =>
    (await maintenance.getDeduplicationJobId(recountId(project, session))) !== null;
  return [
    objectsWalk(ports),
    uploadsWalk(ports),
    stagingWalk(ports),
    quarantineWalk(ports),
    batchesWalk(ports),
    sessionsWalk({ ...ports, isRecounted }),
  ];
}
