import type { RequestHandler, Router } from 'express';
import { AppError } from '#errors';
import { type Access, callerOf, scoped } from './auth.ts';
import { correlationIdOf } from './correlation.ts';
import { jobEvents } from './job-events.ts';
import { parse } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { jobParams, jobsQuery } from './schemas.ts';

/** `GET` and `DELETE /v1/jobs/:jobId`, `GET /v1/jobs/:jobId/events`, and `GET /v1/jobs?state=&project=&limit=`. */
export function jobs(router: Router, ports: ApiPorts, access: Access): void {
  const { producer, audit } = ports;
  const get: RequestHandler = async (req, res) => {
    const { jobId } = parse(jobParams, req.params);
    const job = await producer.getJob(jobId);
    if (!job || !(await access.allows(callerOf(res), 'assets:read', job.project))) {
      throw noJob(jobId);
    }
    res.json(job);
  };
  const cancel: RequestHandler = async (req, res) => {
    const { jobId } = parse(jobParams, req.params);
    const caller = callerOf(res);
    const found = await producer.getJob(jobId);
    if (!found || !(await access.allows(caller, 'assets:write', found.project))) throw noJob(jobId);
    // Before the deed, which may still be refused; sent again it is recorded once.
    await audit.record({
      entryId: `jobs.cancel:${jobId}`,
      actor: { kind: caller.kind, id: caller.id },
      action: 'jobs.cancel',
      target: jobId,
      project: found.project,
      correlationId: correlationIdOf(res),
    });
    const job = await producer.cancelJob(jobId);
    if (!job) throw noJob(jobId);
    res.status(job.state === 'completed' ? 200 : 202).json(job);
  };
  const list: RequestHandler = async (req, res) => {
    const filter = parse(jobsQuery, req.query);
    const caller = callerOf(res);
    if (filter.project !== undefined) await access.require(caller, 'assets:read', filter.project);
    else access.requireEverywhere(caller, 'assets:read');
    res.json({ jobs: await producer.listJobs(filter) });
  };
  resource(router, '/v1/jobs', { get: list });
  resource(router, '/v1/jobs/:jobId', { get, delete: [scoped(access, 'assets:write'), cancel] });
  resource(router, '/v1/jobs/:jobId/events', { get: jobEvents(ports, access) });
}

function noJob(jobId: string): AppError {
  return new AppError('NOT_FOUND', `There is no job ${jobId}.`);
}
