/**
 * Adds up vitest's JSON results, one file a run. The last line is `N passed, N failed`; a run without results, a
 * skipped test, one still to be written, and a file that failed to load count as failed.
 *   node scripts/tally.mjs FILE…
 */
import { readFileSync } from 'node:fs';

let passed = 0;
let failed = 0;
for (const file of process.argv.slice(2)) {
  const run = read(file);
  if (!run || run.numTotalTests === 0) {
    complain(`${file}: no tests ran`);
    continue;
  }
  passed += run.numPassedTests;
  for (const suite of run.testResults) {
    if (suite.status === 'failed' && suite.assertionResults.length === 0) complain(`${suite.name}: ${suite.message}`);
    for (const test of suite.assertionResults) {
      if (test.status !== 'passed') complain(`${suite.name}: ${test.fullName}: ${test.status}`);
    }
  }
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

function complain(sentence) {
  failed += 1;
  process.stderr.write(`${sentence}\n`);
}
