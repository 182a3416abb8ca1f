/**
 * The table of environment variables in README.md, made from `src/config.ts`.
 *   node scripts/variables.ts    writes it between its markers
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { VARIABLES } from '#config';

const README = new URL('../README.md', import.meta.url);
const BETWEEN_MARKERS = /(?<=<!-- variables -->\n)[\s\S]*?(?=<!-- \/variables -->)/;

/** Every variable with its default and meaning, as a Markdown table. */
export function variablesTable(): string {
  const rows = Object.entries(VARIABLES.shape).map(
    ([name, schema]) => `| \`${name}\` | ${fallbackOf(schema)} | ${schema.description ?? ''} |`,
  );
  return `${['| variable | default | meaning |', '|---|---|---|', ...rows].join('\n')}\n`;
}

/** The README with its table as it should be. Throws when the markers are missing. */
export function withTable(readme: string): string {
  if (!BETWEEN_MARKERS.test(readme)) throw new Error('README.md has lost the markers of its table of variables.');
  return readme.replace(BETWEEN_MARKERS, () => variablesTable());
}

/** The default is what parsing nothing gives. */
function fallbackOf(schema: (typeof VARIABLES.shape)[keyof typeof VARIABLES.shape]): string {
  const value: unknown = schema.parse(undefined);
  const text = Array.isArray(value) ? value.join(',') : String(value ?? '');
  return text === '' ? '' : `\`${text}\``;
}

if (import.meta.main) writeFileSync(README, withTable(readFileSync(README, 'utf8')));
