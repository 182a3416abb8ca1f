import { z } from 'zod';
import { typesOf } from './entities.ts';
import { SCENE_ASSET_TYPES, SESSION_ASSET_TYPES } from './fields.ts';

const id = z.string().min(1).max(512);
const time = z.number().int().nonnegative();

/** A stored file to be made `ready`. Judged here and not by the function's validator, so that one bad item harms no other. */
const commitItem = z
  .object({
    facts: z.object({
      assetId: id,
      entity: z.object({ project: id, session: id, scene: id.exactOptional() }),
      assetType: z.enum([...SCENE_ASSET_TYPES, ...SESSION_ASSET_TYPES]),
      filename: z.string(),
      contentType: z.string(),
      acceptedSeq: z.number().int().positive(),
      visibility: z.enum(['private', 'public']),
      metadata: z.string(),
      batchId: z.string(),
      jobId: z.string(),
      correlationId: z.string(),
      createdBy: z.string(),
      createdAt: time,
    }),
    stored: z.object({
      s3Key: z.string().min(1),
      size: z.number().int().nonnegative(),
      checksum: z.string().regex(/^[0-9a-f]{64}$/, 'expected SHA-256 in lower-case hex'),
      verifiedBy: z.string(),
      encryption: z
        .object({ algorithm: z.string(), keyId: z.string().exactOptional(), bucketKey: z.boolean().exactOptional() })
        .exactOptional(),
      lock: z.object({ mode: z.enum(['GOVERNANCE', 'COMPLIANCE']), until: time }).exactOptional(),
      versionId: z.string().exactOptional(),
    }),
    url: z.object({ s3Url: z.string(), urlExpiresAt: time }).exactOptional(),
    uploadedAt: time,
    attempt: z.number().int().positive(),
    maxAttempts: z.number().int().positive(),
  })
  .refine(({ facts }) => typesOf(facts.entity).includes(facts.assetType), {
    message: 'types of a scene need a scene, types of a session have none',
    path: ['facts', 'assetType'],
  });
export type CommitItem = z.output<typeof commitItem>;

export type ReadItem = { readonly item: CommitItem } | { readonly assetId: string; readonly problem: string };

/** The item, or why it cannot be committed: every wrong field in one sentence. */
export function readCommitItem(raw: unknown): ReadItem {
  const read = commitItem.safeParse(raw);
  if (read.success) return { item: read.data };
  const named = z.object({ facts: z.object({ assetId: z.string() }) }).safeParse(raw);
  const problem = read.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  return { assetId: named.success ? named.data.facts.assetId : '', problem };
}
