import type { Health, ReconcileReport, Status } from '#client/client.ts';
import { table } from './output.ts';

/** What a key may see of how it goes. */
export type Seen = Health & Partial<Pick<Status, 'breakers' | 'queues' | 'statusOutbox' | 'scrub'>>;

/** What people call the parts. */
const PARTS: Readonly<Record<string, string>> = {
  queue: 'Redis',
  worker: 'worker',
  store: 'store',
  metadata: 'Convex',
};
const STATES = ['waiting', 'active', 'delayed', 'completed', 'failed'] as const;

/** How it goes, for a person: the parts, the lanes, and what waits. */
export function statusText(seen: Seen, reconciled: ReconcileReport | undefined): string {
  return [partsText(seen), lanesText(seen), restText(seen, reconciled)].filter(Boolean).join('\n\n');
}

function partsText({ ready, degraded, missing, breakers = [] }: Seen): string {
  const away = new Set([...degraded, ...missing]);
  const parts = Object.entries(PARTS).map(([part, name]) => {
    const cutOff = breakers.filter(({ dependency }) => dependency === part);
    const who = cutOff.map(({ process, since }) => `${process} since ${new Date(since).toISOString()}`).join(', ');
    return [name, away.has(part) ? 'away' : 'ok', who && `refused at once by ${who}`];
  });
  const api = ['API', ready ? 'ready' : 'not ready', ready && degraded.length > 0 ? 'degraded: work waits' : ''];
  return table([['PART', 'STATE', ''], api, ...parts]);
}

function lanesText({ queues }: Seen): string {
  if (!queues) return '';
  const lanes = Object.entries(queues).map(([lane, jobs]) => [
    lane,
    ...STATES.map((state) => String(jobs[state] ?? 0)),
  ]);
  return table([['LANE', ...STATES.map((state) => state.toUpperCase())], ...lanes]);
}

function restText({ queues, statusOutbox, scrub }: Seen, reconciled: ReconcileReport | undefined): string {
  const rows: string[][] = [];
  if (queues) {
    const dead = Object.values(queues).reduce((sum, { failed = 0 }) => sum + failed, 0);
    rows.push(['dead letters', String(dead), dead > 0 ? 'reelay dead-letters' : '']);
  }
  if (statusOutbox !== undefined) rows.push(['statuses that wait for Convex', String(statusOutbox), '']);
  if (reconciled) {
    const found = Object.values(reconciled.classes).reduce((sum, one) => sum + one.found, 0);
    const at = new Date(reconciled.finishedAt ?? reconciled.requestedAt).toISOString();
    rows.push(['last reconciliation', `${reconciled.state}, ${found} findings`, at]);
  }
  if (scrub) rows.push(['scrub', `${scrub.checked} objects read again`, `${scrub.missing + scrub.different} unfit`]);
  return table(rows);
}
