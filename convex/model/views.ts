import { type Infer, v } from 'convex/values';
import type { Doc } from '../_generated/dataModel.js';
import { type AssetView, assetView } from './assets.ts';
import { assetReference, assetsStatus, replacedVersion } from './fields.ts';

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

export const sessionView = v.object({
  ...entityFields,
  combinedVideoAsset: v.optional(assetReference),
  combinedSubtitleAsset: v.optional(assetReference),
  manifestAsset: v.optional(assetReference),
  totalAssetSize: v.number(),
  assetCount: v.number(),
});

export function viewScene(row: Doc<'scenes'>, assets: AssetView[]): Infer<typeof sceneView> {
  const { _id, _creationTime, heads, ...shown } = row;
  return { ...shown, assets };
}

export function viewSession(row: Doc<'sessions'>, assets: AssetView[]): Infer<typeof sessionView> {
  const { _id, _creationTime, heads, ...shown } = row;
  return { ...shown, assets };
}
