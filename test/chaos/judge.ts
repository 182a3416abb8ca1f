import type { QueueWalk } from './queues.ts';
import type { Accepted } from './sender.ts';
import type { AssetDocument, ConvexWalk } from './walk-convex.ts';

/** What store, Convex and Redis hold in the end, and what was accepted. */
export interface Evidence {
  readonly accepted: readonly Accepted[];
  readonly convex: ConvexWalk;
  readonly objects: ReadonlyMap<string, { readonly size: number; readonly checksum: string }>;
  readonly openUploads: readonly string[];
  readonly queues: readonly QueueWalk[];
  readonly onTheWay: number;
  /** Tries spent, by job. */
  readonly spent: ReadonlyMap<string, number>;
}

/** A promise, and what breaks it: none, when it was kept. */
export interface Verdict {
  readonly promise: string;
  readonly broken: readonly string[];
  /** Nothing of it is lost, and reconciliation ends it once it is old: a kill in the right moment may leave it. */
  readonly forgiven?: boolean;
}

/** Compares what was accepted with what is there; everything should be ready, since each fault passes. */
export function judge(evidence: Evidence): Verdict[] {
  const { accepted, convex, objects, openUploads, queues } = evidence;
  const rows = new Map(convex.assets.map((row) => [row.assetId, row]));
  const named = new Set(convex.assets.map(({ s3Key }) => s3Key));
  const keys = [...objects.keys()];
  const strays = keys.filter((key) => key.startsWith('staging/'));
  return [
    { promise: 'lost', broken: accepted.flatMap((one) => lost(one, rows, objects)) },
    { promise: 'checksum differences', broken: accepted.flatMap((one) => differs(one, rows, objects)) },
    {
      promise: 'duplicated versions',
      broken: [...taken(evidence), ...groups(convex.assets).flatMap(misnumbered), ...miscounted(convex)],
    },
    { promise: 'wrong ones current', broken: groups(convex.assets).flatMap(miscurrent) },
    { promise: 'stuck', broken: stuck(evidence) },
    { promise: 'dead letters', broken: queues.flatMap(({ failed }) => failed) },
    {
      promise: 'tries spent on outages and crashes',
      broken: [...evidence.spent].map(([job, tries]) => `${job}: ${tries}`),
    },
    { promise: 'objects that no row names', broken: keys.filter((key) => !named.has(key) && !strays.includes(key)) },
    { promise: 'open multipart uploads', broken: openUploads },
    { promise: 'staged objects and probes left', broken: strays, forgiven: true },
  ];
}

type Rows = ReadonlyMap<string, AssetDocument>;

function lost({ file, assetId }: Accepted, rows: Rows, objects: Evidence['objects']): string[] {
  const row = rows.get(assetId);
  if (!row) return [`${file.name}: no row`];
  if (row.status !== 'ready') return [`${file.name}: ${row.status} ${row.error?.code ?? ''}`];
  return objects.has(row.s3Key) ? [] : [`${file.name}: ready without its object`];
}

function differs({ file, assetId }: Accepted, rows: Rows, objects: Evidence['objects']): string[] {
  const row = rows.get(assetId);
  if (row?.status !== 'ready') return [];
  const object = objects.get(row.s3Key);
  const differing = (what: string, found: { size?: number; checksum?: string }) =>
    found.size === file.size && found.checksum === file.checksum ? [] : [`${file.name}: ${what}`];
  return [...differing('row', row), ...(object ? differing('object', object) : [])];
}

/** Requests are sent again and again under their key: each of their files is there once. */
function taken({ accepted, convex }: Evidence): string[] {
  const known = new Set(accepted.map(({ assetId }) => assetId));
  return convex.assets.filter(({ assetId }) => !known.has(assetId)).map(({ assetId }) => `${assetId}: accepted twice`);
}

function groups(assets: readonly AssetDocument[]): AssetDocument[][] {
  const ready = assets.filter(({ status }) => status === 'ready');
  return Object.values(Object.groupBy(ready, nameOf)).map((rows = []) => rows);
}

const nameOf = ({ project, session, scene, type }: AssetDocument) => [project, session, scene, type].join('/');

/** Versions of a type of an entity are 1, 2, 3… */
function misnumbered(rows: AssetDocument[]): string[] {
  const versions = rows.map(({ version = 0 }) => version).sort((a, b) => a - b);
  return versions.every((version, at) => version === at + 1) ? [] : [`${rows.slice(0, 1).map(nameOf)}: ${versions}`];
}

/** A scene counts its commits. */
function miscounted({ assets, scenes }: ConvexWalk): string[] {
  return scenes.flatMap(({ project, session, scene, assetVersion }) => {
    const own = assets.filter((row) => row.project === project && row.session === session && row.scene === scene);
    const commits = own.filter(({ version }) => version !== undefined).length;
    return commits === assetVersion
      ? []
      : [`${project}/${session}/${scene}: ${commits} commits counted as ${assetVersion}`];
  });
}

/** The one that was accepted last is current, and no other. */
function miscurrent(rows: AssetDocument[]): string[] {
  const last = Math.max(...rows.map(({ acceptedSeq }) => acceptedSeq));
  return rows.filter(({ current, acceptedSeq }) => current !== (acceptedSeq === last)).map(({ assetId }) => assetId);
}

function stuck({ convex, queues, onTheWay }: Evidence): string[] {
  const ended = ['ready', 'error', 'deleted'];
  return [
    ...queues.flatMap(({ queue, open }) => open.map((id) => `${queue}:${id}`)),
    ...convex.assets
      .filter(({ status }) => !ended.includes(status))
      .map(({ assetId, status }) => `${assetId}: ${status}`),
    ...convex.batches.filter(({ state }) => state !== 'done').map(({ batchId, state }) => `${batchId}: ${state}`),
    ...(onTheWay > 0 ? [`${onTheWay} statuses in the outbox`] : []),
  ];
}
