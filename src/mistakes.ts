import { z } from 'zod';

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

/**
 * zod's error map in plain sentences, for every door where a person's words come in:
 * `schema.safeParse(value, { error: inWords })`. A schema's own message goes before it.
 */
export const inWords: z.core.$ZodErrorMap = (issue) => {
  if (issue.input === undefined) return 'Is missing.';
  switch (issue.code) {
    case 'invalid_type':
      return `Must be ${KINDS[issue.expected] ?? issue.expected}.`;
    case 'invalid_value':
      return oneOf(issue.values);
    case 'invalid_union':
      return Array.isArray(issue.options) ? oneOf(issue.options) : 'Must be of another form.';
    case 'too_small':
      return `Must ${size(issue.origin, 'at least', issue.minimum)}.`;
    case 'too_big':
      return `Must ${size(issue.origin, 'at most', issue.maximum)}.`;
    case 'invalid_format':
      return issue.format === 'url' ? 'Must be a URL.' : 'Must be of another form.';
    default:
      return undefined;
  }
};

/** A number written as text, as variables and queries carry it. */
export function wholeNumber(min: number, max: number) {
  return z.coerce.number(`Must be a whole number from ${min} to ${max}.`).int().min(min).max(max);
}

function oneOf(values: readonly unknown[]): string {
  return `Must be ${values.length > 1 ? 'one of ' : ''}${values.join(', ')}.`;
}

function size(origin: string, bound: 'at least' | 'at most', limit: number | bigint): string {
  const unit = { string: 'characters', array: 'items' }[origin];
  if (!unit) return `be ${bound} ${limit}`;
  return bound === 'at least' && limit === 1 ? 'not be empty' : `have ${bound} ${limit} ${unit}`;
}
