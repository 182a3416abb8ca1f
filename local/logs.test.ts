import { appendFile, mkdtemp, readFile, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '#test/until.ts';
import { followWarnings, prepareLog } from './logs.ts';

let dir: string;
let file: string;
const shown: string[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reelay-logs-'));
  file = join(dir, 'api.log');
  prepareLog(file);
  shown.length = 0;
});

afterEach(() => rm(dir, { recursive: true, force: true }));

it('shows warnings and worse that are new, once each, also when a line arrives in pieces', async () => {
  await appendFile(file, line(50, 'from an earlier run'));
  const stop = followWarnings(file, (text) => shown.push(text));
  const [head, tail] = [line(50, 'in two').slice(0, 20), line(50, 'in two').slice(20)];
  await appendFile(file, `${line(30, 'all is well')}not JSON\n${line(40, 'beware')}${line(40, 'beware')}${head}`);
  await appendFile(file, tail);
  await until(() => shown.length === 2, { within: 10_000, what: 'both warnings' });
  stop();
  expect(shown[0]).toContain('WARN');
  expect(shown[0]).toContain('beware');
  expect(shown[1]).toContain('in two');
});

it('shows a warning on one line: its message and its error’s', async () => {
  const stop = followWarnings(file, (text) => shown.push(text));
  const log = pino({ name: 'api' }, pino.destination({ dest: file, sync: true }));
  log.warn({ err: new Error('connect\n ECONNREFUSED'), queue: 'large' }, 'A queue had an error');
  log.error(new Error('alone'));
  log.error({ err: 'odd' }, 'No error');
  await until(() => shown.length === 3, { within: 10_000, what: 'the warnings' });
  stop();
  expect(shown.map((text) => stripVTControlCharacters(text).trimEnd())).toEqual([
    'WARN: A queue had an error: connect ECONNREFUSED',
    'ERROR: alone',
    'ERROR: No error',
  ]);
});

it('moves a log that grew big aside', async () => {
  await truncate(file, 20 * 1024 * 1024 + 1);
  prepareLog(file);
  expect(await readFile(file, 'utf8')).toBe('');
  expect((await readFile(`${file}.1`)).length).toBe(20 * 1024 * 1024 + 1);
});

function line(level: number, msg: string): string {
  return `${JSON.stringify({ level, time: '2026-01-01T00:00:00Z', name: 'api', msg })}\n`;
}
