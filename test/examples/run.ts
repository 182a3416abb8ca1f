import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const EXAMPLES = join(import.meta.dirname, '../../examples');

export interface Ended {
  readonly code: number;
  readonly output: string;
}

/** Starts an example as its reader would, by its path below examples/; `.py` by python3. */
export function startExample(path: string, args: readonly string[], env: NodeJS.ProcessEnv) {
  const command = path.endsWith('.py') ? 'python3' : process.execPath;
  const child = spawn(command, [join(EXAMPLES, path), ...args], { env: { ...process.env, ...env } });
  const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]).then(
    ([[code], stdout, stderr]): Ended => ({ code: code as number, output: stdout + stderr }),
  );
  return { child, ended };
}

/** Runs it to its end. */
export function runExample(path: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  return startExample(path, args, env).ended;
}
