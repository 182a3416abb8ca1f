import { z } from 'zod';
import { JOB_STATES } from '#answers';
import { ASSET_TYPES, type AssetType, belongsToScene, LOCK_MODES } from '#domain';
import { wholeNumber } from '#mistakes';
import { metadataErrors } from './metadata-rules.ts';

/** Limits of one request. */
export const LIMITS = { files: 5_000, ids: 1_000, page: 1_000 } as const;

/** Nothing that hides, splits a line or reverses a reader's text. */
const VISIBLE = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u;

/** Text for people, of so many characters at the most. */
export const visible = (max: number) =>
  z
    .string()
    .refine((text) => text.trim() === text && text !== '', 'Must not be empty, nor start or end with a space.')
    .refine((text) => text.length <= 2 * max && [...text].length <= max, `Must have at most ${max} characters.`)
    .regex(VISIBLE, 'Must have visible characters only.')
    .meta({ minLength: 1, maxLength: max });

/** An id a caller gives to a project, session or scene. */
const externalId = visible(200);
const project = externalId.describe("The caller's own id of the project.");
const session = externalId.describe("The caller's own id of the session, unique in its project.");
const scene = externalId.describe("The caller's own id of the scene, unique in its session.");
const entityOfFiles = {
  project,
  session: session.describe("The caller's own id of the session; made when it is not there."),
  scene: scene
    .optional()
    .describe('Named for `video_chunk`, `source_code`, `thumbnail` and `subtitle` alone; made when it is not there.'),
};
export const filename = visible(255);
export const assetType = z.enum(ASSET_TYPES).describe('What the file is to its scene or session.');
export const visibility = z.enum(['private', 'public']).describe('Who may ask for its URL.');

/** A media type with plain parameters, as a header can carry it. */
export const contentType = z
  .string()
  .max(200)
  .regex(/^[\w!#$&^.+-]+\/[\w!#$&^.+-]+( *; *[\w-]+=("[ !#-~]*"|[\w.+-]+))*$/, 'Must be a media type.');

/** Has a refinement run though fields are wrong already, so that a caller sees every mistake at once. */
const BESIDE_OTHER_ERRORS = { when: ({ value }: { value: unknown }) => typeof value === 'object' && value !== null };

const ourId = z
  .string()
  .regex(/^[\w-]{1,128}$/, 'Must be an id that Reelay gave.')
  .describe('As an earlier answer gave it.');

const origin = z.discriminatedUnion('kind', [
  z
    .strictObject({
      kind: z.literal('inline'),
      text: z
        .string()
        .refine((text) => text.isWellFormed(), 'Must be well-formed Unicode.')
        .optional(),
      base64: z.base64('Must be base64.').optional(),
    })
    .refine(({ text, base64 }) => (text === undefined) !== (base64 === undefined), 'Give either text or base64.')
    .describe('The bytes themselves: either `text` (UTF-8) or `base64`.'),
  z
    .strictObject({ kind: z.literal('path'), path: z.string().min(1).max(4_096).regex(VISIBLE) })
    .describe("A file of the API's and the worker's own machine, inside `UPLOAD_ROOTS`."),
  z
    .strictObject({
      kind: z.literal('url'),
      url: z.url({ protocol: /^https?$/, error: 'Must be an http or https URL.' }).max(4_096),
    })
    .describe('A file at a public address.'),
  z
    .strictObject({ kind: z.literal('staged'), stagingId: ourId })
    .describe('Bytes that their owner has put into staging; they make one asset.'),
]);
export type OriginInput = z.infer<typeof origin>;

const checksum = z
  .string()
  .regex(/^[0-9a-fA-F]{64}$/, 'Must be a SHA-256 in hex.')
  .toLowerCase()
  .describe('SHA-256 in hex; the bytes are held to it.');

/** What a file keeps as it is; JSON that fits a Convex row. */
const metadata = z
  // zod's own record leaves out a key `__proto__` without a word.
  .custom<Record<string, unknown>>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'Must be an object.',
  )
  .superRefine((value, context) => {
    for (const { path, message } of metadataErrors(value))
      context.addIssue({ code: 'custom', path: [...path], message });
  })
  .meta({ override: { type: 'object' } })
  .default({})
  .describe('Kept with the asset as it is: 16 KiB at the most, 8 levels deep; names start with a letter.');

/** Object Lock of the stored file; `until` becomes milliseconds since the epoch. */
const lock = z
  .strictObject({
    mode: z.enum(LOCK_MODES),
    until: z.iso.datetime({ offset: true, error: 'Must be a time like 2027-01-01T00:00:00Z.' }).transform(Date.parse),
  })
  .describe('Keeps the stored object from being deleted or replaced, where the store has Object Lock.');

const file = z
  .strictObject({
    assetType,
    filename,
    contentType: contentType.optional().describe('Told from the name when it is left out.'),
    origin: origin.describe('Where the bytes come from.'),
    checksum: checksum.optional(),
    size: z.int().min(0).optional().describe('Bytes; the file is held to it.'),
    visibility: visibility.default('private'),
    metadata,
    lock: lock.optional(),
  })
  .meta({ id: 'UploadFile' });

export const uploadBody = z
  .strictObject({
    ...entityOfFiles,
    files: z.array(file).min(1).max(LIMITS.files),
  })
  .superRefine(({ scene, files }, context) => {
    const staged = new Set<string>();
    for (const [index, item] of (Array.isArray(files) ? files : []).entries()) {
      const message = sceneError(item?.assetType, scene);
      if (message) context.addIssue({ code: 'custom', path: ['files', index, 'assetType'], message });
      const stagingId = item?.origin?.kind === 'staged' ? item.origin.stagingId : undefined;
      if (stagingId === undefined) continue;
      if (staged.has(stagingId)) {
        const path = ['files', index, 'origin', 'stagingId'];
        context.addIssue({
          code: 'custom',
          path,
          message: 'Is named by an earlier file: staged bytes make one asset.',
        });
      }
      staged.add(stagingId);
    }
  }, BESIDE_OTHER_ERRORS);
export type UploadBody = z.infer<typeof uploadBody>;

/** The text fields of a form; its files share them. */
export const uploadFields = z
  .strictObject({
    ...entityOfFiles,
    assetType,
    visibility: visibility.default('private'),
    metadata: z
      .preprocess(readJson, metadata)
      .meta({ description: 'An object as JSON, kept with each asset.', override: { type: 'string', default: '{}' } }),
  })
  .superRefine(({ scene, assetType }, context) => {
    const message = sceneError(assetType, scene);
    if (message) context.addIssue({ code: 'custom', path: ['scene'], message });
  }, BESIDE_OTHER_ERRORS);

/** The JSON in a text field; what is none stays text, which the schema behind refuses. */
function readJson(text: unknown): unknown {
  try {
    return typeof text === 'string' ? JSON.parse(text) : text;
  } catch {
    return text;
  }
}

/** The most S3 keeps as one object: 5 TiB. */
export const MAX_FILE = 5 * 1024 ** 4;

/** Bytes that their owner will put into staging himself; `parts` makes even a small one an upload in parts. */
export const stagingBody = z.strictObject({
  project,
  size: z.int().min(1).max(MAX_FILE).describe('Bytes that will be put there.'),
  checksum: checksum.optional(),
  parts: z.literal(true).optional().describe('Has them come in parts, as they do above 64 MiB anyway.'),
});

/** What is wrong with the scene for a type; nothing when the type itself is wrong, which is said elsewhere. */
function sceneError(type: AssetType, scene: string | undefined): string | undefined {
  if (!assetType.safeParse(type).success || belongsToScene(type) === (scene !== undefined)) return undefined;
  return scene === undefined ? `${type} belongs to a scene: name one.` : `${type} belongs to the session itself.`;
}

export const assetParams = z.object({ assetId: ourId });
export const stagingParams = z.object({ stagingId: ourId });
export const batchParams = z.object({ batchId: ourId });
export const jobParams = z.object({ jobId: ourId });
export const entityParams = z.object({ project, session, scene: scene.optional() });

const flag = (what: string) =>
  z
    .stringbool({ truthy: ['1', 'true'], falsy: ['0', 'false'] })
    .default(false)
    .meta({ description: what, override: { type: 'string', enum: ['1', 'true', '0', 'false'], default: '0' } });
/** How much of a list is asked for. */
export const limit = (fallback: number) => wholeNumber(1, LIMITS.page).default(fallback).describe('At most so many.');
const download = flag('A browser saves the file instead of showing it.');

export const uploadQuery = z.strictObject({ dryRun: flag('Plans only: answers with the jobs there would be.') });
export const formQuery = z.strictObject({});
export const urlQuery = z.strictObject({
  redirect: flag('Answers 302 with the URL in `Location`.'),
  download,
  type: z
    .enum(['public', 'signed'])
    .optional()
    .describe('`public`: the unsigned URL of a public asset; `signed`: one that expires, of any.'),
});
export const contentQuery = z.strictObject({ download });
export const urlsBody = z.strictObject({ assetIds: z.array(ourId).min(1).meta({ maxItems: LIMITS.ids }) });

export const listQuery = z.strictObject({
  type: assetType.optional().describe('Of this type only.'),
  history: flag('Includes assets that are no longer current.'),
  cursor: z.string().min(1).max(4_096).optional().describe('`next` of the page before.'),
  limit: limit(100),
});
export const jobsQuery = z.strictObject({
  state: z.enum(JOB_STATES).default('active'),
  project: project.optional().describe('A key that is bound to projects has to name one.'),
  limit: limit(50),
});

const name = visible(200).optional().describe('For people.');
export const sessionBody = z.strictObject({ session, name });
export const sceneBody = z.strictObject({ scene, name });
