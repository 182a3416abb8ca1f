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

/**
 * The life of a process: checks the environment, starts, and ends in order at SIGTERM or SIGINT. What keeps
 * it from starting is one sentence on stderr, not a stack.
 */
export async function runProcess(start: (config: Config) => Promise<Running>): Promise<void> {
  try {
    const config = readConfig(process.env);
    const running = await start(config).catch((error) => {
      throw portTaken(error, config) ?? error;
    });
    let closing = false;
    const onSignal = () => {
      if (closing) return;
      closing = true;
      setTimeout(() => process.exit(1), CLOSE_WITHIN).unref();
      running.close().then(
        () => process.exit(0),
        (error: unknown) => fail(`It did not end in order: ${reasonOf(error)}`, 1),
      );
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, onSignal);
  } catch (error) {
    if (error instanceof ConfigError) return fail(error.message, BAD_CONFIG);
    return fail(`It could not start: ${reasonOf(error)}`, 1);
  }
}

/** A taken port, said to the person who can name another; undefined when that is not what went wrong. */
function portTaken(error: NodeJS.ErrnoException & { port?: number }, config: Config): Error | undefined {
  if (error.code !== 'EADDRINUSE') return undefined;
  const ports = Object.entries({ PORT: config.port, METRICS_PORT: config.metricsPort });
  const variables = ports.filter(([, port]) => port === error.port).map(([name]) => name);
  const sentence = `port ${error.port} is taken; end the program that has it, or name another in ${variables.join(' or ')}.`;
  return new Error(sentence, { cause: error });
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function fail(message: string, code: number): void {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}
