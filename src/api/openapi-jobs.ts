import { job, jobs } from '#answers';
import { CANCELLED_JOB, JOB, JOB_ID } from './openapi-examples.ts';
import { header, json, type Routes } from './openapi-operation.ts';
import { jobParams, jobsQuery } from './schemas.ts';

const CANCELLED = { ...CANCELLED_JOB, state: 'completed', progress: 1 } as const;

/** The work behind uploads. */
export const jobRoutes: Routes = {
  'GET /v1/jobs': {
    id: 'listJobs',
    summary: 'Jobs of one state, newest first',
    scope: 'assets:read',
    query: jobsQuery,
    answers: { 200: json('The jobs.', jobs, { jobs: [JOB] }) },
    errors: ['VALIDATION_FAILED', 'QUEUE_UNAVAILABLE'],
  },
  'GET /v1/jobs/:jobId': {
    id: 'getJob',
    summary: 'State, progress, attempts, next try and error of a job',
    description: 'Completed jobs are known for an hour, failed ones until they are replayed.',
    scope: 'assets:read',
    params: jobParams,
    answers: { 200: json('The job.', job, JOB) },
    errors: ['VALIDATION_FAILED', 'NOT_FOUND', 'QUEUE_UNAVAILABLE'],
  },
  'DELETE /v1/jobs/:jobId': {
    id: 'cancelJob',
    summary: 'Cancel a job',
    description:
      'Before its commit: its files end as `error` with `CANCELLED`. `CONFLICT` once its commit has begun, or when it has failed. Again is fine.',
    scope: 'assets:write',
    params: jobParams,
    answers: {
      200: json('It is over already.', job, CANCELLED),
      202: json('A worker ends it, at once where one is free.', job, CANCELLED_JOB),
    },
    errors: ['VALIDATION_FAILED', 'NOT_FOUND', 'CONFLICT', 'QUEUE_UNAVAILABLE'],
  },
  'GET /v1/jobs/:jobId/events': {
    id: 'watchJob',
    summary: 'A job, live',
    description:
      'Server-sent events: `job` with the job as `GET /v1/jobs/{jobId}` answers it, at first and at each change; `end` with the last one, or with an error when the job is not known any more; `unavailable` with an error when Redis went away: connect again. A comment every 15 s keeps the connection. The stream ends when the caller may not read the job any more. A process has 500 streams at the most, 50 of one caller.',
    scope: 'assets:read',
    params: jobParams,
    headers: ['LastEventId'],
    answers: {
      200: {
        description: 'Events until the job is over.',
        headers: { 'X-Accel-Buffering': header('Proxies pass each event on at once.', 'no') },
        content: {
          'text/event-stream': {
            schema: { type: 'string' },
            examples: {
              example: {
                value: [
                  'retry: 2000\n',
                  `id: q1W-0dXb2kYz\nevent: job\ndata: {"jobId":"${JOB_ID}","state":"active","progress":0.5}\n`,
                  `id: end-Zk3oP9sQvA1x\nevent: end\ndata: {"jobId":"${JOB_ID}","state":"completed","progress":1}\n`,
                ].join('\n'),
              },
            },
          },
        },
      },
      204: { description: 'The reader has seen the end, as `Last-Event-ID` says: there is nothing more.' },
    },
    errors: ['VALIDATION_FAILED', 'NOT_FOUND', 'QUEUE_UNAVAILABLE'],
  },
};
