import express, { type RequestHandler } from 'express';
import type { z } from 'zod';
import { AppError } from '#errors';
import { inWords } from '#mistakes';
import { type FieldError, invalid, pathOf } from './field-error.ts';

const JSON_LIMIT = 16 * 1024 * 1024;

/** Parses a JSON body of at most 16 MiB into `req.body`; anything else throws. */
export const jsonBody: readonly RequestHandler[] = [
  (req, _res, next) => {
    if (!req.is('application/json')) {
      throw new AppError('UNSUPPORTED_MEDIA_TYPE', 'This route takes a body of application/json.');
    }
    next();
  },
  express.json({ limit: JSON_LIMIT }),
];

/** A body, path parameters or a query as the schema says. Throws `VALIDATION_FAILED` naming every wrong field. */
export function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value, { error: inWords });
  if (!result.success) throw invalid(result.error.issues.flatMap(toFieldErrors));
  return result.data;
}

/** Throws `TOO_LARGE` for a list too long, before each of its items is looked at. */
export function checkCount(list: unknown, max: number, what: string): void {
  if (!Array.isArray(list) || list.length <= max) return;
  throw new AppError('TOO_LARGE', `${list.length} ${what} in one request; the most is ${max}.`, { details: { max } });
}

function toFieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  if (issue.code !== 'unrecognized_keys') return [{ path: pathOf(issue.path), message: issue.message }];
  return issue.keys.map((key) => ({ path: pathOf([...issue.path, key]), message: 'This field is not known.' }));
}
