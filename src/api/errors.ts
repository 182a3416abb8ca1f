import type { ErrorRequestHandler, RequestHandler } from 'express';
import type { ErrorAnswer } from '#answers';
import { AppError, toAppError } from '#errors';
import { correlationIdOf, logOf } from './correlation.ts';

/** Seconds a caller should wait, by status, unless the error's details know better. */
const RETRY_AFTER: Readonly<Record<number, number>> = { 429: 10, 503: 5 };

/** Headers that described an answer that did not come about. */
const STALE_HEADERS = ['Content-Type', 'ETag', 'Last-Modified'];

/** An error as a caller sees it. Words of unforeseen errors stay in the log: they may tell too much. */
export function toBody(error: AppError, correlationId: string): ErrorAnswer {
  const facts = error.toFacts();
  const shown = error.code === 'INTERNAL' ? { message: 'Something went wrong inside Reelay.', details: {} } : {};
  return { error: { ...facts, ...shown, correlationId } };
}

export const routeNotFound: RequestHandler = (req) => {
  const nextAction = 'Check the path of the request, and the API URL before it.';
  throw new AppError('NOT_FOUND', `There is no ${req.method} ${req.path}.`, { nextAction });
};

/** The last middleware: whatever was thrown becomes the contract's error. */
export const answerError: ErrorRequestHandler = (thrown, _req, res, _next) => {
  const error = fromFramework(thrown) ?? toAppError(thrown);
  const log = logOf(res);
  if (error.status >= 500) log.error({ err: thrown }, error.message);
  else log.debug({ code: error.code }, error.message);
  if (res.headersSent) {
    res.destroy();
    return;
  }
  for (const name of STALE_HEADERS) res.removeHeader(name);
  const retryAfter = error.details.retryAfter ?? RETRY_AFTER[error.status];
  if (retryAfter !== undefined) res.set('Retry-After', String(retryAfter));
  res.status(error.status).json(toBody(error, correlationIdOf(res)));
};

/** What body-parser and Express throw, as ours; undefined for anything else. */
function fromFramework(thrown: unknown): AppError | undefined {
  if (!(thrown instanceof Error) || thrown instanceof AppError) return undefined;
  const { type, status } = thrown as Error & { type?: string; status?: number };
  const options = { cause: thrown };
  switch (type) {
    case 'entity.parse.failed':
      return new AppError('INVALID_JSON', `The body is not valid JSON: ${thrown.message}.`, options);
    case 'entity.too.large':
      return new AppError('TOO_LARGE', 'The JSON body is larger than 16 MiB.', options);
    case 'encoding.unsupported':
    case 'charset.unsupported':
      return new AppError('UNSUPPORTED_MEDIA_TYPE', `The body cannot be read: ${thrown.message}.`, options);
    case 'request.aborted':
    case 'request.size.invalid':
      return new AppError('INVALID_JSON', 'The body ended before it was whole.', options);
  }
  if (thrown instanceof URIError || status === 400) {
    return new AppError('VALIDATION_FAILED', `The request cannot be read: ${thrown.message}.`, options);
  }
  return undefined;
}
