import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { type StandInApi, startStandInApi } from './stand-in-api.ts';

const MAIN = resolve(import.meta.dirname, '../src/cli/main.ts');

export const SCENE = ['--project', 'demo', '--session', 's1', '--scene', 'c1'];

/** The command line as it is typed, in a folder of its own, against a stand-in API of its own. */
export interface SpawnedCli {
  readonly api: StandInApi;
  readonly dir: string;
  /** Starts the command with nothing of this process's environment but its PATH. */
  start(args: string[], env?: Record<string, string>): { child: ReturnType<typeof spawn>; ended: Promise<Ended> };
  /** Runs it to its end. */
  reelay(args: string[], env?: Record<string, string>): Promise<Ended>;
  /** Writes a file in the folder, making folders on the way. */
  write(name: string, content: string): Promise<string>;
  close(): Promise<void>;
}

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function spawnedCli(): Promise<SpawnedCli> {
  const api = await startStandInApi();
  const dir = await mkdtemp(join(tmpdir(), 'reelay-cli-'));
  const state = await mkdtemp(join(tmpdir(), 'reelay-cli-state-'));

  function start(args: string[], env: Record<string, string> = {}) {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: dir,
      env: { PATH: process.env.PATH, XDG_STATE_HOME: state, REELAY_API_URL: api.url, REELAY_KEY: api.key, ...env },
    });
    const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]).then(
      ([[code], stdout, stderr]) => ({ code: code as number, stdout, stderr }),
    );
    return { child, ended };
  }

  return {
    api,
    dir,
    start,
    reelay: (args, env) => start(args, env).ended,
    async write(name, content) {
      const path = join(dir, name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
      return path;
    },
    async close() {
      await api.close();
      await Promise.all([dir, state].map((path) => rm(path, { recursive: true })));
    },
  };
}
