import { type Infer, v } from 'convex/values';
import type { Doc } from '../_generated/dataModel.js';
import { type AssetView, assetView } from './assets.ts';
import { assetReference, assetsStatus, replacedVersion } from './fields.ts';

/** What scenes and sessions both show. */
const entityFields = {
  project: v.string(),
  session: v.string(),
  name: v.optional(v.string()),
  assetsStatus,
  assetsErrorMessage: v.optional(v.string()),
  createdAt: v.number(),
  /** The newest accepted asset of each type, whatever its status; the references show what is current. */
  assets: v.array(assetView),
};

/** A scene as people watch it: a reference per type to what is current, and what was replaced. */
export const sceneView = v.object({
  ...entityFields,
  scene: v.string(),
  videoAsset: v.optional(assetReference),
  sourceCodeAsset: v.optional(assetReference),
  thumbnailAsset: v.optional(assetReference),
  subtitleAsset: v.optional(assetReference),
  assetVersion: v.number(),
  previousAssetVersions: v.array(replacedVersion),
});

/** A session as people watch it; its totals also count its scenes, as of the last recount. */
export const sessionView = v.object({
  ...entityFields,
  combinedVideoAsset: v.optional(assetReference),
  combinedSubtitleAsset: v.optional(assetReference),
  manifestAsset: v.optional(assetReference),
  totalAssetSize: v.number(),
  assetCount: v.number(),
});

/** The row for people, without `heads`; `assets` are the newest of each type. */
export function viewScene(row: Doc<'scenes'>, assets: AssetView[]): Infer<typeof sceneView> {
  const { _id, _creationTime, heads, ...shown } = row;
  return { ...shown, assets };
}

/** As `viewScene`. */
export function viewSession(row: Doc<'sessions'>, assets: AssetView[]): Infer<typeof sessionView> {
  const { _id, _creationTime, heads, ...shown } = row;
  return { ...shown, assets };
}
