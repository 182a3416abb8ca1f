import { ConfigError, readConfig } from '#config';
import { checkConvex } from './config-check-convex.ts';
import { checkPorts } from './config-check-ports.ts';
import { checkRedis } from './config-check-redis.ts';
import { checkStore } from './config-check-store.ts';
import type { Finding } from './config-finding.ts';
import type { Context } from './context.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { table } from './output.ts';

/** Reads the environment as API and worker do, asks every part, and says what is so and what to do. */
export async function checkConfig({ env, output }: Context): Promise<ExitCode> {
  const findings = await findingsIn(env);
  if (findings instanceof ConfigError) {
    const document = { ok: false, findings: [{ part: 'environment', state: 'error', what: findings.message }] };
    output.result(findings.message, document);
    return EXIT.config;
  }
  const ok = findings.every(({ state }) => state !== 'error');
  output.result(textOf(findings), { ok, findings });
  return ok ? EXIT.ok : EXIT.failed;
}

async function findingsIn(env: NodeJS.ProcessEnv): Promise<readonly Finding[] | ConfigError> {
  try {
    const config = readConfig(env);
    const parts = [checkRedis(config), checkConvex(config), checkStore(config), checkPorts(config)];
    return (await Promise.all(parts)).flat();
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown;
    throw thrown;
  }
}

function textOf(findings: readonly Finding[]): string {
  const rows = findings.flatMap(({ part, state, what, todo }) => [
    [part, state, what],
    ...(todo === undefined || state === 'ok' ? [] : [['', '', `  ${todo}`]]),
  ]);
  return table([['PART', 'STATE', 'WHAT'], ...rows]);
}
