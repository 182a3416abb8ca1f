import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

const SCRIPT = new URL('deploy.sh', import.meta.url).pathname;
const CONVEX_URL = 'http://127.0.0.1:1';

test.each([
  [{}, 'CONVEX_URL'],
  [{ CONVEX_URL }, 'CONVEX_DEPLOY_KEY'],
  [{ CONVEX_URL, CONVEX_SELF_HOSTED_URL: CONVEX_URL }, 'CONVEX_SELF_HOSTED_ADMIN_KEY'],
])('with %j it says in one sentence that %s is missing', (given, missing) => {
  const { status, stderr } = spawnSync('bash', [SCRIPT], {
    env: { PATH: process.env.PATH, ...given },
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([78, expect.stringMatching(new RegExp(`^${missing} is missing: .*\\.\\n$`))]);
});
