/**
 * The tables of environment variables in docs/configuration.md, made from `src/config.ts`.
 *   node scripts/variables.ts    writes them between their markers
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { VARIABLES } from '#config';
import { markdownTable, putBetween } from './between-markers.ts';

export const CONFIGURATION = new URL('../docs/configuration.md', import.meta.url);

/** What variables are about, in the order of the page; the first group that a name fits has it. */
const GROUPS: readonly [title: string, names: RegExp][] = [
  ['Addresses, data and logins', /^(PORT|METRICS_PORT|REELAY_\w+|LOG_LEVEL|LANES)$/],
  ['What may be uploaded, and how long it may take', /^(UPLOAD|URL_ORIGIN|BACKLOG)_|^S3_UPLOAD_ON_WRITE$/],
  ['What failed', /^DEAD_LETTER_|^SCRUB_|^RECONCILE_/],
  ['Redis', /^REDIS_/],
  ['Convex', /^CONVEX_/],
  ['Store', /^(S3|AWS)_/],
];

type Variable = [name: string, schema: (typeof VARIABLES.shape)[keyof typeof VARIABLES.shape]];

/** Every variable with its default and meaning, a table for each group. */
export function variableTables(): string {
  const groups = Map.groupBy(Object.entries(VARIABLES.shape) as Variable[], ([name]) => groupOf(name));
  return GROUPS.map(([title]) => {
    const rows = (groups.get(title) ?? []).map(([name, schema]) => {
      // The sentences link from the root of the repository.
      const meaning = (schema.description ?? '').replaceAll('](docs/', '](');
      return [`\`${name}\``, fallbackOf(schema), meaning + choicesOf(schema)];
    });
    return `\n## ${title}\n\n${markdownTable(['variable', 'default', 'meaning'], rows)}`;
  }).join('');
}

/** The page with its tables as they should be. */
export function withTables(page: string): string {
  return putBetween(page, 'variables', variableTables());
}

function groupOf(name: string): string {
  const group = GROUPS.find(([, names]) => names.test(name));
  if (!group) throw new Error(`${name} is in no group of docs/configuration.md: see GROUPS in scripts/variables.ts.`);
  return group[0];
}

/** What it may be, when that is one of a few words. */
function choicesOf(schema: Variable[1]): string {
  const { enum: one, items } = z.toJSONSchema(schema, { unrepresentable: 'any' });
  const each = typeof items === 'object' && 'enum' in items ? items.enum : undefined;
  const words = (one ?? each ?? []).map((word) => `\`${word}\``).join(', ');
  return words && ` ${one ? 'One' : 'Each one'} of ${words}.`;
}

/** The default is what parsing nothing gives. */
function fallbackOf(schema: Variable[1]): string {
  const value: unknown = schema.parse(undefined);
  const text = Array.isArray(value) ? value.join(',') : String(value ?? '');
  return text === '' ? '' : `\`${text}\``;
}

if (import.meta.main) writeFileSync(CONFIGURATION, withTables(readFileSync(CONFIGURATION, 'utf8')));
