import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface EngineProcess {
  readonly url: string;
  /** Where its HTTP actions are; undefined without a `http.ts`. */
  readonly siteUrl: string | undefined;
  readonly pid: number;
  /** Stops it cleanly. Both resolve when the process has ended. */
  stop(): Promise<void>;
  /** Kills it, as a power cut would. */
  kill(): Promise<void>;
}

/** Characters kept of what the engine says, for the error when it does not start. */
const LONGEST_SAID = 10_000;
const MAIN = join(import.meta.dirname, 'main.ts');

/**
 * Starts an engine in a process of its own and waits until it serves. `env` comes on top of this
 * process's; port 0, the default, takes a free one, as HTTP actions do. Throws with what the engine said when it does not start.
 */
export async function spawnEngine(options: {
  functions: string;
  data: string;
  env?: Readonly<Record<string, string>>;
  port?: number;
}): Promise<EngineProcess> {
  const { functions, data, env, port = 0 } = options;
  const flags = ['--functions', functions, '--data', data, '--port', String(port)];
  const child = spawn(process.execPath, [MAIN, ...flags], {
    env: { ...process.env, CONVEX_SITE_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-LONGEST_SAID);
  });
  const { url, siteUrl } = await Promise.race([
    servedUrls(createInterface({ input: child.stdout })),
    exited.then(() => Promise.reject(new Error(said.trim() || 'The engine ended before it served.'))),
  ]);
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
  };
  return { url, siteUrl, pid: child.pid ?? 0, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}

async function servedUrls(lines: AsyncIterable<string>): Promise<{ url: string; siteUrl: string | undefined }> {
  let siteUrl: string | undefined;
  for await (const line of lines) {
    const [url] = /http:\/\/\S+$/.exec(line) ?? [];
    if (line.startsWith('HTTP actions')) siteUrl = url;
    else if (url) return { url, siteUrl };
  }
  return new Promise(() => {});
}
