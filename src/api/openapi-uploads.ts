import { z } from 'zod';
import { accepted, batch, planned, staging } from '#answers';
import { ACCEPTED, BATCH, COMPLETE_STAGING, OPEN_STAGING, STAGING_ID, STAGING_IN_PARTS } from './openapi-examples.ts';
import { JSON_ERRORS, json, jsonBodyOf, type Routes, STORE_ERRORS, STORE_WRITE_ERRORS } from './openapi-operation.ts';
import { batchParams, stagingBody, stagingParams, uploadBody, uploadFields, uploadQuery } from './schemas.ts';

const ENTITY = { project: 'demo', session: 's1', scene: 'scene-1' };

/** What every upload may come to once its files are known. */
const INTAKE_ERRORS = [
  ...(['EMPTY_FILE', 'IDEMPOTENCY_MISMATCH', 'IDEMPOTENCY_BUSY', 'BACKLOG_FULL', 'QUEUE_UNAVAILABLE'] as const),
  ...STORE_WRITE_ERRORS,
] as const;

const form = z.object({
  ...uploadFields.shape,
  file: z
    .array(z.file())
    .min(1)
    .meta({
      description:
        'Any number of parts with this name, up to 5,000, each with a filename; they may come first or last.',
      override: { type: 'array', items: { type: 'string', contentMediaType: 'application/octet-stream' } },
    }),
});

/** Files in, and what becomes of a request. */
export const uploadRoutes: Routes = {
  'POST /v1/uploads': {
    id: 'upload',
    summary: 'Upload files of a scene or session',
    description:
      'Accepted means kept: 202 is sent once the work is on disk, and each file ends `ready` or as a visible error. At most 5,000 files and 16 MiB of JSON.',
    scope: 'assets:write',
    query: uploadQuery,
    headers: ['IdempotencyKey'],
    body: jsonBodyOf(uploadBody, {
      'text in the request': {
        ...ENTITY,
        files: [{ assetType: 'source_code', filename: 'scene.py', origin: { kind: 'inline', text: 'print("hi")' } }],
      },
      'bytes in the request': {
        ...ENTITY,
        files: [
          {
            ...{ assetType: 'thumbnail', filename: 'poster.png', visibility: 'public', metadata: { take: 3 } },
            origin: { kind: 'inline', base64: 'iVBORw0KGgo=' },
          },
        ],
      },
      'a file of the machine': {
        ...ENTITY,
        files: [{ assetType: 'video_chunk', filename: 'clip.mp4', origin: { kind: 'path', path: 'clip.mp4' } }],
      },
      'a file at an address': {
        ...{ project: 'demo', session: 's1' },
        files: [
          {
            ...{ assetType: 'combined_video', filename: 'film.mp4', contentType: 'video/mp4' },
            origin: { kind: 'url', url: 'https://example.com/film.mp4' },
          },
        ],
      },
      'staged bytes': {
        ...ENTITY,
        files: [{ assetType: 'video_chunk', filename: 'clip.mp4', origin: { kind: 'staged', stagingId: STAGING_ID } }],
      },
    }),
    answers: {
      200: json('With `dryRun=1`: the jobs there would be.', planned, {
        outcome: 'planned',
        jobs: [{ lane: 'small', size: 11, files: [{ filename: 'scene.py' }] }],
      }),
      202: json('Accepted.', accepted, ACCEPTED),
    },
    errors: [
      ...JSON_ERRORS,
      ...(['PATH_NOT_ALLOWED', 'ORIGIN_NOT_FOUND', 'ORIGIN_UNREADABLE', 'URL_NOT_ALLOWED'] as const),
      ...(['SIZE_MISMATCH', 'CHECKSUM_MISMATCH', 'STAGING_INCOMPLETE', 'CONFLICT', 'GONE'] as const),
      ...INTAKE_ERRORS,
    ],
  },
  'POST /v1/uploads/files': {
    id: 'uploadForm',
    summary: 'Upload files as a form',
    description:
      'The files are streamed to staging as they arrive, of any size. The text fields are those of all files. A form that ends halfway leaves nothing behind.',
    scope: 'assets:write',
    headers: ['IdempotencyKey'],
    body: {
      required: true,
      content: {
        'multipart/form-data': { schema: form, encoding: { metadata: { contentType: 'text/plain' } } },
      },
    },
    answers: { 202: json('Accepted.', accepted, ACCEPTED) },
    errors: ['VALIDATION_FAILED', 'INVALID_FORM', 'UNSUPPORTED_MEDIA_TYPE', 'TOO_LARGE', ...INTAKE_ERRORS],
  },
  'GET /v1/batches/:batchId': {
    id: 'getBatch',
    summary: 'What became of the files of one request',
    description: 'Known for 30 days after its last change.',
    scope: 'assets:read',
    params: batchParams,
    answers: { 200: json('The batch.', batch, BATCH) },
    errors: ['VALIDATION_FAILED', 'NOT_FOUND', 'QUEUE_UNAVAILABLE'],
  },
};

/** Bytes that do not pass through the API. */
export const stagingRoutes: Routes = {
  'POST /v1/staging': {
    id: 'openStaging',
    summary: 'Get a request that puts bytes into the store',
    description:
      'For bytes that should not pass through the API: PUT them as the answer says, complete it, then upload with origin `staged`. They wait for a day.',
    scope: 'assets:write',
    body: jsonBodyOf(stagingBody, {
      'in one PUT': { project: 'demo', size: 12_712 },
      'in parts': { project: 'demo', size: 16_777_216, parts: true },
    }),
    answers: { 201: json('Open.', staging, OPEN_STAGING) },
    errors: [...JSON_ERRORS, 'BACKLOG_FULL', 'QUEUE_UNAVAILABLE', ...STORE_ERRORS],
  },
  'GET /v1/staging/:stagingId': {
    id: 'getStaging',
    summary: 'The parts so far, and fresh requests for those that are missing',
    scope: 'assets:write',
    params: stagingParams,
    answers: { 200: json('As it is.', staging, STAGING_IN_PARTS) },
    errors: ['VALIDATION_FAILED', 'NOT_FOUND', 'QUEUE_UNAVAILABLE', ...STORE_ERRORS],
  },
  'POST /v1/staging/:stagingId/complete': {
    id: 'completeStaging',
    summary: 'Say that all bytes were sent',
    description: 'Joins the parts and holds what is there against the size announced. May be repeated.',
    scope: 'assets:write',
    params: stagingParams,
    answers: { 200: json('Complete.', staging, COMPLETE_STAGING) },
    errors: [
      ...(['VALIDATION_FAILED', 'NOT_FOUND', 'STAGING_INCOMPLETE', 'CONFLICT', 'GONE', 'SIZE_MISMATCH'] as const),
      ...(['QUEUE_UNAVAILABLE', ...STORE_WRITE_ERRORS] as const),
    ],
  },
  'DELETE /v1/staging/:stagingId': {
    id: 'dropStaging',
    summary: 'Give staged bytes up',
    scope: 'assets:write',
    params: stagingParams,
    answers: { 204: { description: 'Given up, and the bytes deleted.' } },
    errors: ['VALIDATION_FAILED', 'NOT_FOUND', 'CONFLICT', 'GONE', 'QUEUE_UNAVAILABLE', ...STORE_ERRORS],
  },
};
