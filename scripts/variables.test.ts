import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { VARIABLES } from '#config';
import { CONFIGURATION, variableTables, withTables } from './variables.ts';

const page = readFileSync(CONFIGURATION, 'utf8');

it('docs/configuration.md has the tables of variables as src/config.ts is now', () => {
  expect(withTables(page), 'run: npx node scripts/variables.ts').toBe(page);
});

it('says something about every variable, once', () => {
  const lines = variableTables()
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  expect(lines).toHaveLength(Object.keys(VARIABLES.shape).length);
  expect(lines.filter((line) => !/^\| `\w+` \| .*\| .+\. \|$/.test(line))).toEqual([]);
  expect(lines).toContain('| `PORT` | `3000` | Port of the API. |');
  expect(lines.find((line) => line.startsWith('| `S3_SSE`'))).toContain('One of `AES256`, `aws:kms`. |');
  expect(lines.find((line) => line.startsWith('| `LANES`'))).toContain('Each one of `small`, `large`');
});

it('links to pages that are there', () => {
  const links = [...page.matchAll(/\]\(([^)#:]+)[^)]*\)/g)].map(([, path = '']) => path);
  expect(links.filter((path) => !existsSync(new URL(path, CONFIGURATION)))).toEqual([]);
});
