import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ERROR_CODES } from '#errors';
import { API_PAGE, withApiTables } from './api-tables.ts';

it('docs/api.md has the tables of routes and codes as they are now', () => {
  const page = readFileSync(API_PAGE, 'utf8');
  expect(withApiTables(page), 'run: npx node scripts/api-tables.ts').toBe(page);
});

it('docs/troubleshooting.md tells of every code, each once, with its status', () => {
  const page = readFileSync(new URL('../docs/troubleshooting.md', import.meta.url), 'utf8');
  const told = [...page.matchAll(/^\| `([A-Z_]+)` \(([^)]+)\) \|/gm)].map(([, code, status]) => `${code} ${status}`);
  const codes = Object.entries(ERROR_CODES).map(([code, { status }]) => `${code} ${status}`);
  expect(told.toSorted()).toEqual(codes.toSorted());
});
