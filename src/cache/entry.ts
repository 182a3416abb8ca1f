import { z } from 'zod';
import { ASSET_STATUSES, ASSET_TYPES } from '#domain';

export const urlEntry = z.object({
  assetId: z.string(),
  entity: z.object({ project: z.string(), session: z.string(), scene: z.string().optional() }),
  assetType: z.enum(ASSET_TYPES),
  filename: z.string(),
  contentType: z.string(),
  visibility: z.enum(['private', 'public']),
  status: z.enum(ASSET_STATUSES),
  version: z.number().optional(),
  s3Key: z.string(),
  s3Url: z.string().optional(),
  urlExpiresAt: z.number().optional(),
});

/** What of an asset is needed to answer for its URL. An `AssetRow` is one, with more. */
export type UrlEntry = z.infer<typeof urlEntry>;

/** A remembered entry, or undefined when the text is not one: written by another version, it is a miss. */
export function parseEntry(text: string): UrlEntry | undefined {
  try {
    return urlEntry.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** The text to remember; fields that are not part of an entry are left out. */
export function printEntry(entry: UrlEntry): string {
  return JSON.stringify(urlEntry.parse(entry));
}
