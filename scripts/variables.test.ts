import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { VARIABLES } from '#config';
import { variablesTable, withTable } from './variables.ts';

it('README.md has the table of variables as src/config.ts is now', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  expect(withTable(readme), 'run: npx node scripts/variables.ts').toBe(readme);
});

it('says something about every variable', () => {
  const lines = variablesTable().trim().split('\n').slice(2);
  expect(lines).toHaveLength(Object.keys(VARIABLES.shape).length);
  expect(lines.filter((line) => !/^\| `\w+` \| .*\| .+\. \|$/.test(line))).toEqual([]);
  expect(variablesTable()).toContain('| `PORT` | `3000` | Port of the API. |');
});
