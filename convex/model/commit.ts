import { type Infer, v } from 'convex/values';
import type { Doc, Id } from '../_generated/dataModel.js';
import type { MutationCtx } from '../_generated/server.js';
import { findApiKey } from './api_keys.ts';
import { findAsset, findAssets } from './assets.ts';
import { type CommitItem, type ReadItem, readCommitItem } from './commit_item.ts';
import { type AssetFields, type References, readyFields, referencesOf, referenceTo } from './commit_rows.ts';
import { assetsState, type Entity, entityOpener, REFERENCE_FIELD } from './entities.ts';
import type { AssetReference, AssetType, EntityRef, ReplacedVersion } from './fields.ts';

export const commitResult = v.union(
  v.object({ assetId: v.string(), ok: v.literal(true), version: v.number(), current: v.boolean() }),
  v.object({
    assetId: v.string(),
    ok: v.literal(false),
    error: v.object({ code: v.string(), message: v.string() }),
  }),
);
type CommitResult = Infer<typeof commitResult>;

/** Replaced versions that a scene remembers; the whole history is in its asset rows. */
const REMEMBERED = 10;

/** Changes of one transaction, gathered so that each document is read and written once however many items touch it. */
interface Work {
  readonly ctx: MutationCtx;
  readonly open: (ref: EntityRef) => Promise<Entity>;
  readonly rows: Map<string, { id: Id<'assets'> | undefined; fields: AssetFields; changed: boolean }>;
  readonly entities: Map<Entity['_id'], EntityWork>;
  /** When the key of that id was revoked; never, when it was not or is no key. */
  readonly revokedAt: (keyId: string) => Promise<number>;
  readonly now: number;
}

interface EntityWork {
  readonly entity: Entity;
  readonly heads: Entity['heads'];
  readonly references: References;
  readonly replaced: ReplacedVersion[];
  commits: number;
}

/**
 * Makes each item's asset `ready`, in the order of acceptance, each with its own result. Versions count per entity and
 * type; `current` moves only to a higher `acceptedSeq`. An item already committed answers as the first time; one withdrawn
 * since becomes ready again under its version. With `only`, items of another entity are refused.
 */
export async function commitAssets(
  ctx: MutationCtx,
  raw: readonly unknown[],
  only?: EntityRef,
): Promise<CommitResult[]> {
  const read = raw.map(readCommitItem);
  const ids = read.flatMap((one) => ('item' in one ? [one.item.facts.assetId] : []));
  const work: Work = {
    ctx,
    open: entityOpener(ctx),
    rows: new Map(),
    entities: new Map(),
    revokedAt: revocations(ctx),
    now: Date.now(),
  };
  for (const row of (await findAssets(ctx, ids)).values()) keep(work, row);

  const results = new Map<ReadItem, CommitResult>();
  for (const one of inOrderOfAcceptance(read)) results.set(one, await judge(work, one, only));
  await write(work);
  return read.flatMap((one) => results.get(one) ?? []);
}

function inOrderOfAcceptance(read: readonly ReadItem[]): ReadItem[] {
  const seq = (one: ReadItem) => ('item' in one ? one.item.facts.acceptedSeq : 0);
  return [...read].sort((a, b) => seq(a) - seq(b));
}

async function judge(work: Work, one: ReadItem, only?: EntityRef): Promise<CommitResult> {
  if (!('item' in one)) return refused(one.assetId, 'VALIDATION_FAILED', one.problem);
  if (only && !sameEntity(only, one.item.facts.entity)) {
    return refused(one.item.facts.assetId, 'VALIDATION_FAILED', 'facts.entity: not the entity of this call');
  }
  return commitOne(work, one.item);
}

async function commitOne(work: Work, item: CommitItem): Promise<CommitResult> {
  const { assetId, entity: ref, assetType, acceptedSeq, createdBy, createdAt } = item.facts;
  const known = work.rows.get(assetId);
  if (known) {
    const { status, version, becameCurrent, type } = known.fields;
    if (type !== assetType || !sameEntity(ref, known.fields)) {
      return refused(assetId, 'CONFLICT', 'The asset id belongs to another entity or type.');
    }
    if (status === 'deleted') return refused(assetId, 'GONE', 'The asset was deleted.');
    // Of a cancellation and a commit that was still under way, Convex lets the first win.
    if (status === 'error' && known.fields.error?.code === 'CANCELLED') {
      return refused(assetId, 'CANCELLED', 'The upload was cancelled before it was committed.');
    }
    if (version !== undefined && !sameBytes(known.fields, item.stored)) {
      return refused(assetId, 'CHECKSUM_MISMATCH', 'The asset was committed before with other bytes.');
    }
    if (status === 'ready' && version !== undefined) {
      return { assetId, ok: true, version, current: becameCurrent ?? false };
    }
  }
  if ((await work.revokedAt(createdBy)) <= createdAt) {
    return refused(assetId, 'FORBIDDEN', 'The key that sent the upload had been revoked before.');
  }

  const target = await entityWork(work, ref);
  const head = target.heads[assetType] ?? { version: 0, currentSeq: 0 };
  // One that was withdrawn keeps its version.
  const version = known?.fields.version ?? head.version + 1;
  const current = acceptedSeq > head.currentSeq;
  target.heads[assetType] = {
    version: Math.max(head.version, version),
    currentSeq: Math.max(head.currentSeq, acceptedSeq),
  };
  if (version > head.version) target.commits += 1;

  const fields = readyFields(item, target.entity._id, version, current, known?.fields);
  work.rows.set(assetId, { id: known?.id, fields, changed: true });
  if (current) {
    const before = target.references[assetType];
    if (before) await retire(work, target, assetType, before);
    target.references[assetType] = referenceTo(item, version);
  }
  return { assetId, ok: true, version, current };
}

async function entityWork(work: Work, ref: EntityRef): Promise<EntityWork> {
  const entity = await work.open(ref);
  const known = work.entities.get(entity._id);
  if (known) return known;
  const fresh: EntityWork = {
    entity,
    heads: { ...entity.heads },
    references: referencesOf(entity),
    replaced: 'scene' in entity ? [...entity.previousAssetVersions] : [],
    commits: 0,
  };
  work.entities.set(entity._id, fresh);
  return fresh;
}

/** The asset shown until now steps back; its row may be in this very batch. */
async function retire(work: Work, target: EntityWork, type: AssetType, before: AssetReference): Promise<void> {
  const { s3Url, urlExpiresAt, ...rest } = before;
  target.replaced.unshift({ ...rest, type, replacedAt: work.now });
  target.replaced.splice(REMEMBERED);
  if (!work.rows.has(before.assetId)) {
    const row = await findAsset(work.ctx, before.assetId);
    if (row) keep(work, row);
  }
  const row = work.rows.get(before.assetId);
  if (row) work.rows.set(before.assetId, { ...row, fields: { ...row.fields, current: false }, changed: true });
}

async function write({ ctx, rows, entities }: Work): Promise<void> {
  for (const { id, fields, changed } of rows.values()) {
    if (!changed) continue;
    if (id === undefined) await ctx.db.insert('assets', fields);
    else await ctx.db.replace(id, fields);
  }
  for (const { entity, heads, references, replaced, commits } of entities.values()) {
    const shown = Object.fromEntries(
      Object.entries(references).map(([type, reference]) => [REFERENCE_FIELD[type as AssetType], reference]),
    );
    const change = { ...shown, heads, ...(await assetsState(ctx, entity)) };
    if ('scene' in entity) {
      const counted = { assetVersion: entity.assetVersion + commits, previousAssetVersions: replaced };
      await ctx.db.patch(entity._id, { ...change, ...counted });
    } else await ctx.db.patch(entity._id, change);
  }
}

/** Reads each key once. */
function revocations(ctx: MutationCtx): Work['revokedAt'] {
  const known = new Map<string, Promise<number>>();
  return (keyId) => {
    const revokedAt = known.get(keyId) ?? findApiKey(ctx, keyId).then((key) => key?.revokedAt ?? Infinity);
    known.set(keyId, revokedAt);
    return revokedAt;
  };
}

function sameBytes(row: AssetFields, { checksum, size }: CommitItem['stored']): boolean {
  return row.checksum === checksum && row.size === size;
}

function keep(work: Work, { _id, _creationTime, ...fields }: Doc<'assets'>): void {
  work.rows.set(fields.assetId, { id: _id, fields, changed: false });
}

function sameEntity(a: EntityRef, b: EntityRef): boolean {
  return a.project === b.project && a.session === b.session && a.scene === b.scene;
}

function refused(assetId: string, code: string, message: string): CommitResult {
  return { assetId, ok: false, error: { code, message } };
}
