import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Config, ConfigError, readConfig } from '#config';
import { jwksDataUri } from '#metadata/service-token.ts';
import { prepareCredentials, prepareSigningKey } from './credentials.ts';
import { describeParts, portsOf, stackIsReady } from './parts.ts';
import { claimDataFolder } from './process-ids.ts';
import { seed } from './seed.ts';
import { StartError } from './start-error.ts';
import { createSupervisor, endLeftovers, requireFreePorts, type Supervisor } from './supervisor.ts';
import { welcome } from './table.ts';

/** npm hands one Ctrl-C on several times; only a signal later than this is a second one. In milliseconds. */
const SAME_SIGNAL_MS = 500;

const READY_LIMIT_MS = 60_000;

/** `npm run up`: the whole embedded stack in the foreground, until a signal ends it. */
async function up(): Promise<void> {
  const config = readConfig(process.env);
  const runDir = join(config.dataDir, 'run');
  await prepareDataDir(config.dataDir, [runDir, join(config.dataDir, 'logs'), join(config.dataDir, 'redis')]);
  const release = await claimDataFolder(runDir, config.dataDir);
  const supervisor = createSupervisor(config.dataDir, say);
  const stopped = stopOnSignal(supervisor);
  try {
    await Promise.race([start(config, supervisor), stopped]);
    await stopped;
  } finally {
    await supervisor.stop();
    await release();
  }
}

async function prepareDataDir(dataDir: string, folders: readonly string[]): Promise<void> {
  try {
    for (const folder of folders) await mkdir(folder, { recursive: true });
    await chmod(dataDir, 0o700);
  } catch (cause) {
    throw new StartError(`REELAY_DATA cannot be used: ${(cause as Error).message}`, { cause });
  }
}

async function start(config: Config, supervisor: Supervisor): Promise<void> {
  await endLeftovers(config.dataDir, say);
  const key = await prepareSigningKey(config);
  const credentials = await prepareCredentials(config, key, Date.now());
  const jwks = await jwksDataUri(key);
  const parts = describeParts(config, process.env, { adminPassword: credentials.adminPassword, jwks });
  await requireFreePorts(portsOf(config, parts));
  await supervisor.start(parts, () => seed(config, key, credentials, Date.now()));
  await untilReady(config);
  process.stdout.write(welcome(config, process.uptime()));
}

async function untilReady(config: Config): Promise<void> {
  for (const deadline = performance.now() + READY_LIMIT_MS; !(await stackIsReady(config)); await wait(20)) {
    if (performance.now() < deadline) continue;
    throw new StartError(`The parts run, but ${config.publicUrl}/health/ready still says that they do not serve.`);
  }
}

/** Resolves at the first SIGINT, SIGTERM or SIGHUP; a second one ends everything at once. */
function stopOnSignal(supervisor: Supervisor): Promise<void> {
  return new Promise((resolve) => {
    let first: number | undefined;
    const onSignal = () => {
      if (first === undefined) {
        first = performance.now();
        say('stopping; once more to force it');
        resolve();
      } else if (performance.now() - first > SAME_SIGNAL_MS) {
        say('ending everything now');
        supervisor.kill();
      }
    };
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  });
}

function say(line: string): void {
  process.stderr.write(`reelay: ${line}\n`);
}

up().then(
  () => {
    say('stopped');
    process.exit();
  },
  (error: unknown) => {
    if (!(error instanceof StartError || error instanceof ConfigError)) throw error;
    say(error.message);
    process.exit(error instanceof ConfigError ? 78 : 1);
  },
);
