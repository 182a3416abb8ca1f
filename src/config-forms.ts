import { z } from 'zod';

/** Forms that variables of the environment share. */

export const flag = (fallback: boolean) =>
  z.stringbool({ truthy: ['true', '1'], falsy: ['false', '0'] }).default(fallback);

/** Comma-separated; spaces around an entry and empty entries vanish. */
export const list = z.string().transform((text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean),
);

export const url = (...protocols: string[]) =>
  z.url({ protocol: new RegExp(`^(${protocols.join('|')})$`), error: `Must be a URL of ${protocols.join(' or ')}.` });
