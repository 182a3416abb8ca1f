import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Stack, startStack } from '#test/stack.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');

let stack: Stack;
let dir: string;

beforeAll(async () => {
  [stack, dir] = await Promise.all([startStack(), mkdtemp(join(tmpdir(), 'reelay-docs-'))]);
});
afterAll(async () => {
  await stack.remove();
  await rm(dir, { recursive: true, force: true });
});

/** The commands of a page, for this stack in place of the reader's own. */
function script(page: string): string {
  return [...page.matchAll(/```sh\n([\s\S]*?)```/g)]
    .map(([, block = '']) => block)
    .join('\n')
    .replaceAll('http://127.0.0.1:3000', stack.apiUrl)
    .replaceAll('http://127.0.0.1:9464/metrics', stack.metricsUrl)
    .replaceAll('.reelay/', `${stack.dataDir}/`);
}
const read = (page: string) => readFile(join(ROOT, 'docs', page), 'utf8');

test('every command of docs/api.md does what it says, as it is written', async () => {
  const page = await read('api.md');
  const sections = page.split(/\n(?=## )/);
  // What is refused on purpose.
  const refused = sections.filter((section) => /^## (Errors|Cancel)\n/.test(section));
  const granted = sections.filter((section) => !refused.includes(section));
  // Any answer that is an error ends it.
  const strict = 'set -euo pipefail; curl() { command curl --fail-with-body "$@"; }; ';
  const lenient = '\ncurl() { command curl "$@"; }; echo "REFUSED:"; ';
  const all = strict + script(granted.join('\n')) + lenient + script(refused.join('\n'));
  const { stdout } = await run('bash', ['-c', all], { cwd: dir });
  expect(stdout).toContain('"outcome":"planned"');
  expect(stdout).toContain('created\nduplicate\n');
  expect(stdout).toContain('event: end');
  expect(stdout.split('REFUSED:')[1]).toMatch(/"code":"CONFLICT"[\s\S]*"code":"VALIDATION_FAILED"/);
  const [copy, original, part] = await Promise.all(
    ['copy.mp4', 'clip.mp4', 'first.bin'].map((name) => readFile(join(dir, name))),
  );
  expect(copy).toEqual(original);
  expect(part).toEqual(original?.subarray(0, 1_024));
});

test('every command of docs/troubleshooting.md shows what it says', async () => {
  const page = await read('troubleshooting.md');
  const { stdout } = await run('bash', ['-c', `set -euo pipefail; ${script(page)}`], { cwd: ROOT, env: stack.env });
  for (const shown of ['"ready":true', 'takes tokens', 'reelay_queue_jobs', 'reelay_uploads_total', 'worker.log']) {
    expect(stdout).toContain(shown);
  }
  // The request's own line, found by its correlation id.
  expect(stdout.trim().split('\n').at(-1)).toContain('"path":"/v1/assets/a_none"');
});
