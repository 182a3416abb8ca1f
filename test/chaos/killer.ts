import { setTimeout as pause } from 'node:timers/promises';
import type { Crew, Member } from './crew.ts';
import { isCommit, isPart, isUploading } from './lines.ts';
import type { Tally } from './tally.ts';

/** A kill waits at most this long for its worker to be in the midst of what is aimed at, in milliseconds; with few of them, longer. */
const AIM_FOR = 800;
const AIM_FEW_FOR = 15_000;
const LOOK_EVERY = 2;

export const KILLS = {
  upload: 'worker killed in mid-upload',
  part: 'worker killed in a multipart upload',
  commit: 'worker killed in mid-commit',
} as const;

/**
 * kill -9 of one worker after another, one in `every` milliseconds, `most` in all; each is started again at once. Every third kill is aimed at a
 * commit, the others at uploads. What a worker was doing is read off its wires in the moment it is killed.
 */
export async function killWorkers(
  crew: Crew,
  { every, most }: { every: number; most?: number | undefined },
  { tally, signal }: { tally: Tally; signal: AbortSignal },
): Promise<number> {
  let kills = 0;
  let turn = 0;
  const aimFor = most === undefined ? AIM_FOR : AIM_FEW_FOR;
  for (let next = performance.now() + every; !signal.aborted && kills !== most; next += every) {
    await pause(Math.max(0, next - performance.now()), undefined, { signal }).catch(() => undefined);
    const inTurn = crew.workers.map((_, at) => crew.workers[(turn + at) % crew.workers.length] as Member);
    const victim = inTurn.find((worker) => worker.isFree());
    if (!victim || signal.aborted) continue;
    turn = crew.workers.indexOf(victim) + 1;
    const aim = kills % 3 === 2 ? isCommit : isUploading;
    const end = performance.now() + aimFor;
    while (
      performance.now() < end &&
      victim.isFree() &&
      !signal.aborted &&
      !victim.lines.store.inFlight().concat(victim.lines.convex.inFlight()).some(aim)
    ) {
      await pause(LOOK_EVERY);
    }
    if (!victim.isFree() || signal.aborted) continue;
    const under = { store: victim.lines.store.inFlight(), convex: victim.lines.convex.inFlight() };
    // It may be killed again before it serves; then its next start is what counts.
    victim.replace().catch(() => undefined);
    kills += 1;
    if (performance.now() > next + every) next = performance.now();
    tally.happened(KILLS.upload, under.store.some(isUploading) ? 1 : 0);
    tally.happened(KILLS.part, under.store.some((request) => isUploading(request) && isPart(request)) ? 1 : 0);
    tally.happened(KILLS.commit, under.convex.some(isCommit) ? 1 : 0);
  }
  return kills;
}
