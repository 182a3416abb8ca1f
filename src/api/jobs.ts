import type { RequestHandler, Router } from 'express';
import { AppError } from '#errors';
import { type Access, callerOf } from './auth.ts';
import { parse } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { jobParams, jobsQuery } from './schemas.ts';

/** `GET /v1/jobs/:jobId` and `GET /v1/jobs?state=&project=&limit=`. */
export function jobs(router: Router, { producer }: ApiPorts, access: Access): void {
  const get: RequestHandler = async (req, res) => {
    const { jobId } = parse(jobParams, req.params);
    const job = await producer.getJob(jobId);
    if (!job || !(await access.allows(callerOf(res), 'assets:read', job.project))) {
      throw new AppError('NOT_FOUND', `There is no job ${jobId}.`);
    }
    res.json(job);
  };
  const list: RequestHandler = async (req, res) => {
    const filter = parse(jobsQuery, req.query);
    const caller = callerOf(res);
    if (filter.project !== undefined) await access.require(caller, 'assets:read', filter.project);
    else access.requireEverywhere(caller, 'assets:read');
    res.json({ jobs: await producer.listJobs(filter) });
  };
  resource(router, '/v1/jobs', { get: list });
  resource(router, '/v1/jobs/:jobId', { get });
}
