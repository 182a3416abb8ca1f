/**
 * The tables of routes and codes in docs/api.md, made from the description of the API and the table of codes.
 *   node scripts/api-tables.ts    writes them between their markers
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { TAGS } from '#api/openapi.ts';
import { ERROR_CODES } from '#errors';
import { markdownTable, putBetween } from './between-markers.ts';

export const API_PAGE = new URL('../docs/api.md', import.meta.url);

function routesTable(): string {
  const rows = TAGS.flatMap(({ routes }) =>
    Object.entries(routes).map(([route, { summary, scope, answers }]) => [
      `\`${route}\``,
      summary,
      scope === undefined ? '' : scope === 'login' ? "the admin's login" : `\`${scope}\``,
      Object.keys(answers).join(', '),
    ]),
  );
  return markdownTable(['route', 'is', 'needs', 'answers'], rows);
}

function codesTable(): string {
  const byStatus = Object.entries(ERROR_CODES).toSorted(([, a], [, b]) => a.status - b.status);
  const rows = byStatus.map(([code, { status, retryable, nextAction }]) => [
    ...[`\`${code}\``, String(status), retryable ? 'yes' : 'no', nextAction.replaceAll('<API key>', '`<API key>`')],
  ]);
  return markdownTable(['code', 'status', 'retryable', 'what to do'], rows);
}

/** The page with its tables as they should be. */
export function withApiTables(page: string): string {
  return putBetween(putBetween(page, 'routes', routesTable()), 'codes', codesTable());
}

if (import.meta.main) writeFileSync(API_PAGE, withApiTables(readFileSync(API_PAGE, 'utf8')));
