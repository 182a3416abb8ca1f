import process from 'node:process';
import { type Config, ConfigError, readConfig } from '#config';

/** What a running process can be asked. */
export interface Running {
  /** Ends it in order; resolves when nothing is left running. */
  close(): Promise<void>;
}

/** A process that has not closed by then is ended, in milliseconds; what it held goes on elsewhere. */
const CLOSE_WITHIN = 15_000;
/** EX_CONFIG of sysexits.h. */
const BAD_CONFIG = 78;
const OLDEST = [22, 18] as const;

/**
 * The life of a process: checks Node and the environment, starts, and ends in order at SIGTERM or
 * SIGINT. What keeps it from starting is one sentence on stderr, not a stack.
 */
export async function runProcess(start: (config: Config) => Promise<Running>): Promise<void> {
  const tooOld = oldNode(process.versions.node);
  if (tooOld) return fail(tooOld, 1);
  try {
    const running = await start(readConfig(process.env));
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        setTimeout(() => process.exit(1), CLOSE_WITHIN).unref();
        void running.close().then(() => process.exit(0));
      });
    }
  } catch (error) {
    if (error instanceof ConfigError) return fail(error.message, BAD_CONFIG);
    return fail(`It could not start: ${error instanceof Error ? error.message : String(error)}`, 1);
  }
}

/** The sentence to say to a Node older than 22.18, the first to run TypeScript as it is; else undefined. */
export function oldNode(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return undefined;
  return `Reelay needs Node ${OLDEST.join('.')} or newer and this is ${version}: start it by npm, which uses the Node in node_modules.`;
}

function fail(message: string, code: number): void {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}
