import { asset, assets, assetUrl, assetUrls, sceneAnswer, sessionAnswer } from '#answers';
import { ASSET, ASSET_ID, ASSET_URL } from './openapi-examples.ts';
import { header, JSON_ERRORS, json, jsonBodyOf, type Routes, raw, STORE_ERRORS } from './openapi-operation.ts';
import {
  assetParams,
  contentQuery,
  entityParams,
  listQuery,
  sceneBody,
  sessionBody,
  urlQuery,
  urlsBody,
} from './schemas.ts';

const project = entityParams.pick({ project: true });
const session = entityParams.omit({ scene: true });
const scene = entityParams.required();

/** Why an asset has no URL, or no bytes. */
const UNSERVED = ['VALIDATION_FAILED', 'NOT_FOUND', 'CONFLICT', 'GONE', 'NOT_READY'] as const;
const LIST_ERRORS = ['VALIDATION_FAILED'] as const;
const page = json('A page, newest version first.', assets, { assets: [ASSET], next: 'MTc5NTE3NjQxOQ' });

/** Bytes of a stored object, as a browser or a player asks for them. */
export const objectAnswers = {
  200: {
    ...raw('The bytes, of their own media type.', 'application/octet-stream', 'video/mp4'),
    headers: {
      'Accept-Ranges': header('Parts may be asked for.', 'bytes'),
      'Content-Disposition': header('`inline`, or `attachment` to be saved.', 'inline; filename="clip.mp4"'),
      'Content-Length': header('Bytes.', '12712'),
      ETag: header('Changes with the bytes.', '"9f86d081"'),
      'Last-Modified': header('When it was stored.', 'Sat, 21 Nov 2026 12:00:00 GMT'),
    },
  },
  206: {
    ...raw('The range asked for.', 'application/octet-stream', 'video/mp4'),
    headers: { 'Content-Range': header('Which bytes, and of how many.', 'bytes 0-1023/12712') },
  },
  304: { description: "The reader's copy is still the same." },
};
export const OBJECT_HEADERS = ['Range', 'IfRange', 'IfNoneMatch'];

/** What is stored, and how to get at it. */
export const assetRoutes: Routes = {
  'GET /v1/assets/:assetId': {
    id: 'getAsset',
    summary: 'Status and facts of an asset',
    description: 'From the moment it was accepted. With `stale: true` while Convex is away.',
    scope: 'assets:read',
    params: assetParams,
    answers: { 200: json('The asset.', asset, ASSET) },
    errors: ['VALIDATION_FAILED', 'NOT_FOUND', 'GONE', 'QUEUE_UNAVAILABLE'],
  },
  'GET /v1/assets/:assetId/url': {
    id: 'getAssetUrl',
    summary: 'A URL that works now',
    description: 'For frontends and players: signed and short-lived, or the unsigned one of a public asset.',
    scope: 'assets:read',
    params: assetParams,
    query: urlQuery,
    answers: {
      200: json('The URL.', assetUrl, ASSET_URL),
      302: { description: 'With `redirect=1`.', headers: { Location: header('The URL.', ASSET_URL.url) } },
    },
    errors: UNSERVED,
  },
  'POST /v1/assets/urls': {
    id: 'getAssetUrls',
    summary: 'The URLs of up to 1,000 assets',
    description: 'Each id has its own answer: one that has no URL spoils no other.',
    scope: 'assets:read',
    body: jsonBodyOf(urlsBody, { 'one asset': { assetIds: [ASSET_ID] } }),
    answers: {
      200: json('One for each id, in their order.', assetUrls, { urls: [{ assetId: ASSET_ID, ...ASSET_URL }] }),
    },
    errors: JSON_ERRORS,
  },
  'GET /v1/assets/:assetId/content': {
    id: 'getAssetContent',
    summary: 'The bytes themselves',
    description: 'With ranges, through the API: the way when no URL can be had.',
    scope: 'assets:read',
    params: assetParams,
    query: contentQuery,
    headers: OBJECT_HEADERS,
    answers: objectAnswers,
    errors: [...UNSERVED, 'RANGE_NOT_SATISFIABLE', 'OBJECT_MISSING', ...STORE_ERRORS],
  },
};

/** Sessions and scenes, and the assets they have. */
export const entityRoutes: Routes = {
  'POST /v1/projects/:project/sessions': {
    id: 'putSession',
    summary: 'Create or update a session',
    description: 'Uploads make the sessions and scenes that are not there; this names them.',
    scope: 'assets:write',
    params: project,
    body: jsonBodyOf(sessionBody, { 'a session': { session: 's1', name: 'First cut' } }),
    answers: {
      200: json('Updated.', sessionAnswer, { project: 'demo', session: 's1', name: 'First cut', created: false }),
      201: json('Created.', sessionAnswer, { project: 'demo', session: 's1', name: 'First cut', created: true }),
    },
    errors: JSON_ERRORS,
  },
  'POST /v1/projects/:project/sessions/:session/scenes': {
    id: 'putScene',
    summary: 'Create or update a scene',
    scope: 'assets:write',
    params: session,
    body: jsonBodyOf(sceneBody, { 'a scene': { scene: 'scene-1', name: 'Opening' } }),
    answers: {
      200: json('Updated.', sceneAnswer, { project: 'demo', session: 's1', scene: 'scene-1', created: false }),
      201: json('Created.', sceneAnswer, { project: 'demo', session: 's1', scene: 'scene-1', created: true }),
    },
    errors: JSON_ERRORS,
  },
  'GET /v1/projects/:project/sessions/:session/assets': {
    id: 'listSessionAssets',
    summary: 'The assets of a session itself',
    scope: 'assets:read',
    params: session,
    query: listQuery,
    answers: { 200: page },
    errors: LIST_ERRORS,
  },
  'GET /v1/projects/:project/sessions/:session/scenes/:scene/assets': {
    id: 'listSceneAssets',
    summary: 'The assets of a scene',
    scope: 'assets:read',
    params: scene,
    query: listQuery,
    answers: { 200: page },
    errors: LIST_ERRORS,
  },
};
