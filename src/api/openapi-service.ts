import { z } from 'zod';
import { health, live, status } from '#answers';
import { OBJECT_HEADERS, objectAnswers } from './openapi-assets.ts';
import { FAILED_AT } from './openapi-examples.ts';
import { header, json, type Routes, raw, STORE_ERRORS, STORE_WRITE_ERRORS } from './openapi-operation.ts';

const objectParams = z.object({
  key: z.string().describe("The object's key; its slashes stay slashes."),
});
const signature = {
  expires: z.string().describe('Seconds since the epoch.'),
  signature: z.string(),
};
const readQuery = z.object({ ...signature, filename: z.string().optional(), download: z.literal('1').optional() });
const putQuery = z.object({ ...signature, put: z.string().describe('Bytes that the PUT must have.') });

/** What is asked of the process itself, and the signed URLs of a store on disk. */
export const serviceRoutes: Routes = {
  'GET /health/live': {
    id: 'live',
    summary: 'Whether the process answers',
    answers: { 200: json('It does.', live, { live: true }) },
  },
  'GET /health/ready': {
    id: 'ready',
    summary: 'Whether uploads are carried out now',
    description: 'Ready while the API and a worker serve. `degraded` names what is away while intake works.',
    answers: {
      200: json('Ready.', health, { ready: true, degraded: ['metadata'] }),
      503: {
        ...json('Not ready: `missing` says why.', health, { ready: false, missing: ['worker'] }),
        headers: { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } },
      },
    },
  },
  'GET /v1/admin/status': {
    id: 'getStatus',
    summary: 'How it goes, for whoever operates it',
    description:
      'What `reelay status` shows: readiness, open breakers, queues, the status outbox, and what the scrub found.',
    scope: 'admin',
    answers: {
      200: json('How it goes.', status, {
        ...{ ready: true, degraded: ['store'], missing: [], statusOutbox: 12 },
        breakers: [{ dependency: 'store', process: 'worker 4711@render-2', since: FAILED_AT }],
        scrub: { checked: 9_200, bytes: 1_204_000_000, missing: 0, different: 1, held: 0, passes: 2 },
        queues: { small: { waiting: 40, active: 0, delayed: 8, completed: 1_200, failed: 3 } },
      }),
    },
  },
  'GET /metrics': {
    id: 'metrics',
    summary: 'Metrics for Prometheus',
    description: 'The worker has its own, on METRICS_PORT.',
    answers: { 200: raw('Metrics.', 'text/plain') },
  },
  'GET /': { id: 'status', summary: 'How it goes, for a person', answers: { 200: raw('A page.', 'text/html') } },
  'GET /openapi.json': {
    id: 'openapi',
    summary: 'This description',
    answers: { 200: raw('OpenAPI 3.1.', 'application/json') },
  },
  'GET /docs': {
    id: 'docs',
    summary: 'This description as a page, which can send requests too',
    answers: { 200: raw('A page.', 'text/html') },
  },
  'GET /docs/:file': {
    id: 'docsFile',
    summary: 'What that page is made of',
    params: z.object({ file: z.string() }),
    answers: { 200: raw('A script, a stylesheet or an image.', 'text/javascript', 'text/css', 'image/png') },
    errors: ['NOT_FOUND'],
  },
  'GET /admin/queues': {
    id: 'queues',
    summary: 'Bull Board: the queues, for an admin',
    description: "Asks for the admin's login; the embedded stack keeps it in credentials.json.",
    scope: 'login',
    answers: { 200: raw('A page.', 'text/html') },
    errors: ['UNAUTHENTICATED', 'FORBIDDEN'],
  },
  'GET /objects/*key': {
    id: 'getObject',
    summary: 'Read an object of the disk store',
    description: 'By a URL that `GET /v1/assets/{assetId}/url` signed; the signature is the permission.',
    params: objectParams,
    query: readQuery,
    headers: OBJECT_HEADERS,
    answers: objectAnswers,
    errors: ['FORBIDDEN', 'NOT_FOUND', 'RANGE_NOT_SATISFIABLE', ...STORE_ERRORS],
  },
  'PUT /objects/*key': {
    id: 'putObject',
    summary: 'Put staged bytes into the disk store',
    description: 'By a URL that `POST /v1/staging` signed.',
    params: objectParams,
    query: putQuery,
    body: { required: true, content: { 'application/octet-stream': {} } },
    answers: {
      200: { description: 'Stored.', headers: { ETag: header('SHA-256 of the bytes.', '"9f86d081"') } },
    },
    errors: [
      'FORBIDDEN',
      'SIZE_MISMATCH',
      'EMPTY_FILE',
      'TOO_LARGE',
      'INVALID_FORM',
      'ORIGIN_UNREADABLE',
      ...STORE_WRITE_ERRORS,
    ],
  },
};
