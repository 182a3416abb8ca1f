import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { signal } from './process-ids.ts';
import { StartError } from './start-error.ts';

/** One process of the stack, and how to tell that it serves. */
export interface Part {
  readonly name: 'redis' | 'convex' | 'api' | 'worker';
  /** Program and arguments; the data folder is among them, so that a leftover is known as ours. */
  readonly command: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
  /** Asked again and again after a start until it says true. */
  readonly serves: () => Promise<boolean>;
}

export interface ChildFiles {
  readonly pid: string;
  readonly log: string;
}

/** A part under supervision. */
export interface Child {
  readonly name: Part['name'];
  /** Resolves once it serves; rejects with `StartError` and the end of its log when it dies or stays silent before. */
  readonly served: Promise<void>;
  /** Ends it with SIGTERM, after `STOP_GRACE_MS` with SIGKILL; resolves once it is gone. */
  stop(): Promise<void>;
  /** Ends it now, with all it started. */
  kill(): void;
}

const FIRST_RESTART_MS = 250;
const LAST_RESTART_MS = 30_000;
/** A run this long counts as healthy: the next restart is quick again. */
const HEALTHY_MS = 60_000;
const START_LIMIT_MS = 60_000;
const SILENT = `does not serve after ${START_LIMIT_MS / 1000} s`;
const STOP_GRACE_MS = 20_000;
/** How much of a log is shown when a part cannot start. */
const LOG_LINES = 25;

/**
 * A shell that turns into the command, with a guard beside it: when the supervisor dies, the pipe on fd 3
 * ends without a line and the guard ends the command, which therefore never lingers. A line dismisses it.
 */
const GUARDED = '(read -r line <&3 || kill -TERM $$) >/dev/null 2>&1 & exec "$@" 3<&-';

/** Starts a part. Once it has served, a death is said and answered with a restart, ever later while it goes on dying. */
export function startChild(part: Part, files: ChildFiles, say: (sentence: string) => void): Child {
  const stopping = new AbortController();
  let run = launch(part, files);
  let hasServed = false;

  const supervise = async () => {
    for (let restarts = 0; ; restarts++) {
      const startedAt = performance.now();
      const end = await run.ended;
      if (stopping.signal.aborted || !hasServed) return;
      if (performance.now() - startedAt > HEALTHY_MS) restarts = 0;
      const delay = Math.min(FIRST_RESTART_MS * 2 ** restarts, LAST_RESTART_MS);
      say(`${part.name} ended (${end}); starting it again in ${delay / 1000} s`);
      await wait(delay, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted) return;
      run = launch(part, files);
      void watchRestart(run);
    }
  };

  const watchRestart = async (restarted: Run) => {
    const outcome = await untilServes(part, restarted);
    if (outcome === 'serves') say(`${part.name} serves again`);
    if (outcome === 'silent') {
      say(`${part.name} ${SILENT}`);
      restarted.kill();
    }
  };

  const watchStart = async () => {
    const outcome = await untilServes(part, run);
    hasServed = outcome === 'serves';
    if (hasServed) return;
    run.kill();
    const what = outcome === 'silent' ? SILENT : `ended before it served (${await run.ended})`;
    throw new StartError(`${part.name} ${what}.\nThe end of ${files.log}:\n${lastLines(files.log)}`);
  };

  const served = watchStart();
  served.catch(() => undefined);
  const supervised = supervise();
  return {
    name: part.name,
    served,
    async stop() {
      stopping.abort();
      run.end();
      const overdue = setTimeout(() => run.kill(), STOP_GRACE_MS);
      await supervised;
      clearTimeout(overdue);
    },
    kill() {
      stopping.abort();
      run.kill();
    },
  };
}

interface Run {
  /** Resolves with the reason when the process is gone. */
  readonly ended: Promise<string>;
  end(): void;
  kill(): void;
}

function launch(part: Part, files: ChildFiles): Run {
  const log = openSync(files.log, 'a', 0o600);
  // A group of its own, so that Ctrl-C reaches only the supervisor, which knows the order.
  const child = spawn('/bin/sh', ['-c', GUARDED, 'sh', ...part.command], {
    env: part.env,
    detached: true,
    stdio: ['ignore', log, log, 'pipe'],
  });
  closeSync(log);
  const pid = child.pid ?? 0;
  if (pid > 0) writeFileSync(files.pid, String(pid));
  const ended = endOf(child).then((reason) => {
    rmSync(files.pid, { force: true });
    return reason;
  });
  return {
    ended,
    end: () => child.kill('SIGTERM'),
    kill: () => pid > 0 && signal(-pid, 'SIGKILL'),
  };
}

async function endOf(child: ChildProcess): Promise<string> {
  const guard = child.stdio[3];
  guard?.on('error', () => undefined);
  try {
    const [code, name] = await once(child, 'exit');
    return name ? `signal ${name}` : `exit code ${code}`;
  } catch (error) {
    return (error as Error).message;
  } finally {
    if (guard && 'end' in guard) guard.end('\n');
  }
}

/** What becomes of a start: `silent` when it runs and does not serve within `START_LIMIT_MS`. */
async function untilServes(part: Part, run: Run): Promise<'serves' | 'ended' | 'silent'> {
  let ended = false;
  void run.ended.then(() => {
    ended = true;
  });
  for (const deadline = performance.now() + START_LIMIT_MS; performance.now() < deadline; await wait(20)) {
    const serves = await part.serves();
    if (ended) return 'ended';
    if (serves) return 'serves';
  }
  return 'silent';
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-LOG_LINES).join('\n');
}
