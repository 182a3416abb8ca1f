import { z } from 'zod';
import {
  type DiscardRun,
  deadLetters,
  discardRun,
  type LetterGroup,
  letterGroups,
  lettersPlanned,
  type ReplayRun,
  replayRun,
} from '#answers';
import { ERROR_CODES } from '#errors';
import { FAILED_AT, JOB_ID } from './openapi-examples.ts';
import { JSON_ERRORS, json, jsonBodyOf, type Routes } from './openapi-operation.ts';
import { discardBody, letterRunParams, lettersQuery, replayBody } from './schemas-dead-letters.ts';

const FINGERPRINT = '3f9a1c0b7d52';
const message = 'The staged bytes are not in the store.';
const { retryable, nextAction } = ERROR_CODES.ORIGIN_NOT_FOUND;
const GROUP: LetterGroup = {
  ...{ fingerprint: FINGERPRINT, code: 'ORIGIN_NOT_FOUND', job: 'upload', lanes: ['small'], count: 12, bytes: 31_488 },
  ...{ firstSeen: FAILED_AT, lastSeen: FAILED_AT + 60_000, example: { jobId: JOB_ID, message }, retryable, nextAction },
};
const RUN = { state: 'active', total: 12, skipped: 0, left: 7 } as const;
const REPLAY: ReplayRun = { jobId: 'replay-q1W0dXb2kYzZk3oP9sQv', ...RUN, replayed: 5 };
const DISCARD: DiscardRun = { jobId: 'discard-8oCq2TzGgRkq0T1mYwXh', ...RUN, discarded: 5 };
const LETTER = {
  ...{ jobId: JOB_ID, lane: 'small', job: 'upload', failedAt: FAILED_AT },
  error: { code: 'ORIGIN_NOT_FOUND', message },
};
const PLANNED = json('Nothing was done: what it would be about.', lettersPlanned, {
  ...{ outcome: 'planned', total: 12, groups: [GROUP] },
});

const CHOICE =
  'Chosen are those that each of `fingerprint`, `jobIds` and `olderThan` names, of those given; at least one is, or `all`. It is about those only that have failed by now.';
const errors = ['VALIDATION_FAILED', 'QUEUE_UNAVAILABLE'] as const;

/** What failed for good. */
export const deadLetterRoutes: Routes = {
  'GET /v1/admin/dead-letters': {
    id: 'listDeadLetters',
    summary: 'What failed for good, grouped by its reason',
    description: 'The same reason of different files is one group. With `fingerprint` the dead letters of one group.',
    scope: 'admin',
    query: lettersQuery,
    answers: {
      200: {
        description: 'The groups; or with `fingerprint` a page of one of them.',
        content: {
          'application/json': {
            schema: z.union([letterGroups, deadLetters]),
            examples: {
              groups: { value: { groups: [GROUP] } },
              'one group': { value: { deadLetters: [LETTER], next: 'small-41' } },
            },
          },
        },
      },
    },
    errors,
  },
  'DELETE /v1/admin/dead-letters': {
    id: 'discardDeadLetters',
    summary: 'Discard dead letters, with a reason',
    description: `A job removes them, what their packs left in staging, and puts that they began. The rows of their files keep their errors. ${CHOICE} The audit keeps who, why and which.`,
    scope: 'admin',
    body: jsonBodyOf(discardBody, {
      'a group': { fingerprint: FINGERPRINT, reason: 'The campaign is over.' },
      'what is older than 30 days': { olderThan: 2_592_000, reason: 'Nobody asked for them.', dryRun: true },
    }),
    answers: { 200: PLANNED, 202: json('A worker discards them.', discardRun, DISCARD) },
    errors: [...errors, ...JSON_ERRORS],
  },
  'POST /v1/admin/dead-letters/replay': {
    id: 'replayDeadLetters',
    summary: 'Replay dead letters, so many a second',
    description: `A job has workers take them again, with all their attempts. ${CHOICE} One that is no dead letter any more is skipped, so that asking twice changes nothing. The audit keeps who and which.`,
    scope: 'admin',
    body: jsonBodyOf(replayBody, {
      'a group': { fingerprint: FINGERPRINT, perSecond: 100 },
      'some jobs': { jobIds: [JOB_ID] },
      everything: { all: true, dryRun: true },
    }),
    answers: { 200: PLANNED, 202: json('A worker replays them.', replayRun, REPLAY) },
    errors: [...errors, ...JSON_ERRORS],
  },
  'GET /v1/admin/dead-letters/replays/:jobId': {
    id: 'getReplay',
    summary: 'How far a replay has come',
    scope: 'admin',
    params: letterRunParams,
    answers: { 200: json('The replay.', replayRun, REPLAY) },
    errors: [...errors, 'NOT_FOUND'],
  },
  'GET /v1/admin/dead-letters/discards/:jobId': {
    id: 'getDiscard',
    summary: 'How far a discard has come',
    scope: 'admin',
    params: letterRunParams,
    answers: { 200: json('The discard.', discardRun, DISCARD) },
    errors: [...errors, 'NOT_FOUND'],
  },
};
