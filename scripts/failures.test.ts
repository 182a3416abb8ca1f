import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { FAILURES, withFailures } from './failures.ts';

it('docs/failures.md has the tables of failures as the adapters judge by now', () => {
  const page = readFileSync(FAILURES, 'utf8');
  expect(withFailures(page), 'run: npx node scripts/failures.ts').toBe(page);
  expect(page).toMatch(/\| unavailable \| `STORE_UNAVAILABLE` \| `SlowDown`, /);
  expect(page).toMatch(/\| transient \| `METADATA_FAILED` \| `anything else`/);
});
