import type { RequestHandler, Response, Router } from 'express';
import type { z } from 'zod';
import type { DeadLetterPage, LetterGroup as GroupAnswer, LettersPlanned } from '#answers';
import { AppError, ERROR_CODES } from '#errors';
import type { ChosenLetters, Lane } from '#queues/catalog.ts';
import { type LetterGroup, type Place, summaryOf } from '#queues/dead-letters.ts';
import { letterRunId } from '#queues/ids.ts';
import type { LetterJob, LetterRun } from '#queues/letter-runs.ts';
import { type Access, callerOf, scopedEverywhere } from './auth.ts';
import { correlationIdOf } from './correlation.ts';
import { jsonBody, parse } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { discardBody, letterRunParams, lettersQuery, replayBody } from './schemas-dead-letters.ts';

type Asked = Omit<z.output<typeof replayBody>, 'perSecond'>;

/** `/v1/admin/dead-letters`: what failed for good, by its reasons; to be replayed, or discarded with a reason. */
export function adminDeadLetters(router: Router, ports: ApiPorts, access: Access): void {
  const { producer, clock } = ports;
  const admin = scopedEverywhere(access, 'admin');

  const get: RequestHandler = async (req, res) => {
    const { fingerprint, cursor, limit } = parse(lettersQuery, req.query);
    const chosen = { fingerprint, failedBy: clock() };
    if (fingerprint === undefined) {
      const groups = await producer.deadLetters.groups(chosen);
      res.json({ groups: groups.map(groupAnswer) });
      return;
    }
    const { letters, next } = await producer.deadLetters.list(chosen, { limit, from: readCursor(cursor) });
    const answer: DeadLetterPage = {
      deadLetters: letters.map(({ jobId, lane, job, failedAt, code, message }) => {
        return { jobId, lane, job, failedAt, error: { code, message } };
      }),
      next: next && writeCursor(next),
    };
    res.json(answer);
  };

  const replay: RequestHandler = async (req, res) => {
    const { perSecond, ...asked } = parse(replayBody, req.body);
    await begin(ports, res, { name: 'replay', asked, about: { perSecond } });
  };
  const discard: RequestHandler = async (req, res) => {
    const { reason, ...asked } = parse(discardBody, req.body);
    await begin(ports, res, { name: 'discard', asked, about: { reason } });
  };
  const run =
    (name: LetterJob): RequestHandler =>
    async (req, res) => {
      const { jobId } = parse(letterRunParams, req.params);
      const found = await producer.letterRuns.get(name, jobId);
      if (!found) throw new AppError('NOT_FOUND', `There is no ${name} ${jobId}, or it ended more than an hour ago.`);
      res.json(runAnswer(name, found));
    };

  const path = '/v1/admin/dead-letters';
  resource(router, path, { get: [admin, get], delete: [admin, ...jsonBody, discard] });
  resource(router, `${path}/replay`, { post: [admin, ...jsonBody, replay] });
  resource(router, `${path}/replays/:jobId`, { get: [admin, run('replay')] });
  resource(router, `${path}/discards/:jobId`, { get: [admin, run('discard')] });
}

type Begun = { readonly asked: Asked } & (
  | { readonly name: 'replay'; readonly about: { perSecond: number } }
  | { readonly name: 'discard'; readonly about: { reason: string } }
);

/** Counts what it is about, and unless that was all, records the deed and adds its job. */
async function begin({ producer, audit, clock }: ApiPorts, res: Response, { asked, ...begun }: Begun): Promise<void> {
  const { fingerprint, jobIds, olderThan = 0, dryRun } = asked;
  const chosen: ChosenLetters = { fingerprint, jobIds, failedBy: clock() - olderThan * 1_000 };
  const groups = await producer.deadLetters.groups(chosen);
  const summary = summaryOf(groups);
  if (dryRun) {
    const planned: LettersPlanned = { outcome: 'planned', total: summary.count, groups: groups.map(groupAnswer) };
    res.json(planned);
    return;
  }
  const caller = callerOf(res);
  const jobId = letterRunId(begun.name);
  const correlationId = correlationIdOf(res);
  await audit.record({
    entryId: `dead-letters.${jobId}`,
    actor: { kind: caller.kind, id: caller.id },
    action: `dead-letters.${begun.name}`,
    target: jobId,
    details: { chosen, ...begun.about, ...summary },
    correlationId,
  });
  const shared = { chosen, total: summary.count, correlationId };
  const run =
    begun.name === 'replay'
      ? await producer.letterRuns.start('replay', jobId, { ...shared, ...begun.about })
      : await producer.letterRuns.start('discard', jobId, { ...shared, ...begun.about });
  res.status(202).json(runAnswer(begun.name, run));
}

function groupAnswer(group: LetterGroup): GroupAnswer {
  const { retryable, nextAction } = ERROR_CODES[group.code];
  return { ...group, lanes: [...group.lanes], retryable, nextAction };
}

/** A run under the word for what it does. */
function runAnswer(name: LetterJob, { done, ...run }: LetterRun) {
  const isOver = run.state === 'completed';
  const left = isOver ? 0 : Math.max(0, run.total - done - run.skipped);
  return name === 'replay' ? { ...run, left, replayed: done } : { ...run, left, discarded: done };
}

const writeCursor = ({ lane, at }: Place): string => (at === undefined ? lane : `${lane}-${at}`);

/** Of the form that the query's schema has seen to. */
function readCursor(cursor: string | undefined): Place | undefined {
  if (cursor === undefined) return undefined;
  const [lane, at] = cursor.split('-');
  return { lane: lane as Lane, at: at === undefined ? undefined : Number(at) };
}
