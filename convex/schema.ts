/**
 * The tables and who writes them. Only functions called with the service's token write; people read.
 * Rows refer to projects, sessions, scenes and assets by the callers' own ids, never by `_id`, but for
 * `assets.entity`, which keeps index keys short.
 *
 * | table | written by |
 * |---|---|
 * | projects, sessions, scenes | `sessions.upsert`, `scenes.upsert`; made on the way by commits and status writes |
 * | asset references, `assetVersion`, `previousAssetVersions`, `heads` | commits, withdrawals and deletions, in the asset's transaction |
 * | `assetsStatus`, `assetsErrorMessage` | every write to an asset of the entity, in its transaction |
 * | `totalAssetSize`, `assetCount` | `sessions.recount`, never a commit: a hot row would make commits conflict |
 * | assets | `assets.applyStatuses` from the outbox; commits; withdrawals; deletions |
 * | quarantine | `quarantine.put`, `quarantine.remove` |
 * | batches | `batches.apply` |
 * | members, apiKeys, flags | `members.put`, `apiKeys.put`, `flags.put` |
 * | audit | `audit.append`, which only adds |
 */
import { defineSchema, defineTable } from 'convex/server';
import { v } from 'convex/values';
import {
  apiKey,
  assetFacts,
  assetReference,
  assetState,
  assetsStatus,
  assetType,
  auditEntry,
  batchRecord,
  entityRef,
  fence,
  flag,
  heads,
  memberRole,
  quarantinedObject,
  replacedVersion,
} from './model/fields.ts';

const entityState = {
  name: v.optional(v.string()),
  assetsStatus,
  assetsErrorMessage: v.optional(v.string()),
  heads,
  createdAt: v.number(),
};

export default defineSchema({
  projects: defineTable({ project: v.string(), name: v.optional(v.string()), createdAt: v.number() }).index(
    'by_project',
    ['project'],
  ),

  members: defineTable({ project: v.string(), subject: v.string(), role: memberRole }).index('by_project_and_subject', [
    'project',
    'subject',
  ]),

  sessions: defineTable({
    project: v.string(),
    session: v.string(),
    ...entityState,
    combinedVideoAsset: v.optional(assetReference),
    combinedSubtitleAsset: v.optional(assetReference),
    manifestAsset: v.optional(assetReference),
    totalAssetSize: v.number(),
    assetCount: v.number(),
  }).index('by_project_and_session', ['project', 'session']),

  scenes: defineTable({
    project: v.string(),
    session: v.string(),
    scene: v.string(),
    ...entityState,
    videoAsset: v.optional(assetReference),
    sourceCodeAsset: v.optional(assetReference),
    thumbnailAsset: v.optional(assetReference),
    subtitleAsset: v.optional(assetReference),
    /** Count of the scene's commits, of any type. */
    assetVersion: v.number(),
    /** The last 10 replaced, newest first; the whole history is in `assets`. */
    previousAssetVersions: v.array(replacedVersion),
  }).index('by_project_and_session_and_scene', ['project', 'session', 'scene']),

  assets: defineTable({
    ...assetFacts.omit('entity', 'assetType').fields,
    ...entityRef.fields,
    ...assetState.fields,
    entity: v.union(v.id('scenes'), v.id('sessions')),
    type: assetType,
    fence,
    /** Whether the commit made it current: what a repeated commit answers. */
    becameCurrent: v.optional(v.boolean()),
    s3VersionId: v.optional(v.string()),
    verifiedBy: v.optional(v.string()),
  })
    .index('by_assetId', ['assetId'])
    .index('by_entity_and_current_and_type', ['entity', 'current', 'type'])
    .index('by_entity_and_type_and_version', ['entity', 'type', 'version'])
    .index('by_entity_and_type_and_acceptedSeq', ['entity', 'type', 'acceptedSeq'])
    .index('by_entity_and_type_and_status_and_acceptedSeq', ['entity', 'type', 'status', 'acceptedSeq'])
    .index('by_s3Key', ['s3Key'])
    .index('by_project_and_session_and_current', ['project', 'session', 'current']),

  quarantine: defineTable(quarantinedObject).index('by_s3Key', ['s3Key']),

  batches: defineTable(batchRecord).index('by_batchId', ['batchId']),

  apiKeys: defineTable(apiKey).index('by_keyId', ['keyId']),

  flags: defineTable(flag).index('by_name', ['name']),

  audit: defineTable(auditEntry)
    .index('by_entryId', ['entryId'])
    .index('by_at', ['at'])
    .index('by_project_and_at', ['project', 'at'])
    .index('by_target_and_at', ['target', 'at']),
});
