import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'reelay-tally-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it('adds up the runs and ends with the sum alone on a line', () => {
  expect(tally(run('passed', 'passed'), run('passed'))).toEqual({
    status: 0,
    last: '3 passed, 0 failed',
    complaints: 0,
  });
});

it.each(['failed', 'skipped', 'pending', 'todo'])('counts a test that is %s as failed', (status) => {
  expect(tally(run('passed', status))).toEqual({ status: 1, last: '1 passed, 1 failed', complaints: 1 });
});

it('counts a run without tests, and a run without results, as failed', () => {
  expect(tally(run('passed'), run())).toEqual({ status: 1, last: '1 passed, 1 failed', complaints: 1 });
  expect(tally(run('passed'), undefined)).toEqual({ status: 1, last: '1 passed, 1 failed', complaints: 1 });
});

it('counts a file that could not be loaded as failed', () => {
  const broken = { ...run('passed'), testResults: [suite(['passed']), suite([])] };
  expect(tally(broken)).toEqual({ status: 1, last: '1 passed, 1 failed', complaints: 1 });
});

/** The part of vitest's JSON report that counts. */
function run(...statuses: string[]) {
  return {
    numTotalTests: statuses.length,
    numPassedTests: statuses.filter((status) => status === 'passed').length,
    testResults: [suite(statuses)],
  };
}

function suite(statuses: string[]) {
  return {
    name: 'some.test.ts',
    status: statuses.every((status) => status === 'passed') && statuses.length > 0 ? 'passed' : 'failed',
    message: '',
    assertionResults: statuses.map((status) => ({ fullName: 'does it', status })),
  };
}

function tally(...runs: (ReturnType<typeof run> | undefined)[]) {
  const files = runs.map((report, index) => {
    const file = join(dir, `${index}.json`);
    if (report) writeFileSync(file, JSON.stringify(report));
    return file;
  });
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'tally.mjs'), ...files], {
    encoding: 'utf8',
  });
  return { status, last: stdout.trimEnd(), complaints: stderr.split('\n').length - 1 };
}
