import type { Accepted, Asset, AssetUrl, Batch, Job, Staging } from '#answers';

/** One upload and what becomes of it, told in the examples of all answers. */
const PROJECT = 'demo';
const SESSION = 's1';
const SCENE = 'scene-1';
const BATCH_ID = 'b_BXnyuGFrMYDP2yaiz47l';
export const JOB_ID = `${BATCH_ID}-0`;
export const ASSET_ID = 'a_mmY7n7yTC3B2Mzvu1Ezz';
export const STAGING_ID = 'st_8oCq2TzGgRkq0T1mYwXh';
const ACCEPTED_AT = 1_795_176_419_000;
const READY_AT = ACCEPTED_AT + 1_250;
export const FAILED_AT = ACCEPTED_AT + 9_000;
const HOUR = 3_600_000;
const SIZE = 12_712;
const CHECKSUM = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
const KEY = `projects/${PROJECT}/sessions/${SESSION}/scenes/${SCENE}/video_chunk/${ASSET_ID}/clip.mp4`;

const files = [{ assetId: ASSET_ID, filename: 'clip.mp4' }];

export const ACCEPTED: Accepted = {
  batchId: BATCH_ID,
  outcome: 'created',
  jobs: [{ jobId: JOB_ID, lane: 'small', size: SIZE, files }],
};

export const BATCH: Batch = {
  ...{ batchId: BATCH_ID, project: PROJECT, owner: 'k_agent', state: 'done', total: 1 },
  ...{ successful: [ASSET_ID], failed: [], size: SIZE, createdAt: ACCEPTED_AT },
};

export const JOB: Job = {
  ...{ jobId: JOB_ID, batchId: BATCH_ID, project: PROJECT, lane: 'small', state: 'delayed', progress: 0.4 },
  ...{ attempts: 1, maxAttempts: 3, nextRetryAt: ACCEPTED_AT + 6_000, files },
  error: {
    code: 'ORIGIN_UNREADABLE',
    message: 'clip.mp4 could not be read to its end.',
    retryable: true,
    nextAction: 'The origin could not be read to its end. Check it; the upload is tried again.',
    details: {},
  },
};

export const CANCELLED_JOB: Job = {
  ...{ jobId: JOB_ID, batchId: BATCH_ID, project: PROJECT, lane: 'small', state: 'waiting', progress: 0 },
  ...{ attempts: 0, maxAttempts: 3, files },
  error: {
    code: 'CANCELLED',
    message: 'The job was cancelled.',
    retryable: false,
    nextAction: 'It was cancelled on request; upload it again if it is still needed.',
    details: {},
  },
};

export const ASSET: Asset = {
  ...{ assetId: ASSET_ID, project: PROJECT, session: SESSION, scene: SCENE, assetType: 'video_chunk' },
  ...{ filename: 'clip.mp4', contentType: 'video/mp4', visibility: 'private', status: 'ready', progress: 1 },
  ...{ attempt: 1, maxAttempts: 3, version: 1, current: true, s3Key: KEY, size: SIZE, checksum: CHECKSUM },
  ...{ renditions: { status: 'none' }, metadata: { take: 3 }, batchId: BATCH_ID },
  ...{ correlationId: '0b9a4c1e-9d0c-4f4e-8f2b-6f1d5f0c2a77', createdAt: ACCEPTED_AT, uploadedAt: READY_AT },
};

export const ASSET_URL: AssetUrl = {
  url: `http://127.0.0.1:3000/objects/${KEY}?expires=1795180019&signature=0-c6EYgDJ2oyHUHvdQ5ssB`,
  ...{ expiresAt: ACCEPTED_AT + HOUR, servedFrom: 'convex' },
};

const opened = { stagingId: STAGING_ID, project: PROJECT, expiresAt: ACCEPTED_AT + 24 * HOUR };
const put = (query: string) => ({
  url: `http://127.0.0.1:3000/objects/staging/${STAGING_ID}/bytes?${query}&signature=4bq9`,
  ...{ headers: { 'content-length': '8388608' }, expiresAt: ACCEPTED_AT + HOUR },
});

export const OPEN_STAGING: Staging = {
  ...opened,
  ...{ state: 'open', size: SIZE, checksum: CHECKSUM },
  put: put(`put=${SIZE}`),
};

export const STAGING_IN_PARTS: Staging = {
  ...opened,
  ...{ state: 'open', size: 16_777_216, partSize: 8_388_608, parts: [{ number: 1, size: 8_388_608 }] },
  missing: [{ number: 2, size: 8_388_608, ...put('put=8388608&part=2') }],
};

export const COMPLETE_STAGING: Staging = { ...opened, state: 'complete', size: SIZE, checksum: CHECKSUM };
