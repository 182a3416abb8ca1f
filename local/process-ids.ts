import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { StartError } from './start-error.ts';

/** How long a left-behind process may take to end itself before it is killed, in milliseconds. */
const LEFTOVER_GRACE_MS = 10_000;

/**
 * Makes this process the only `npm run up` of a data folder; the answer gives it up again.
 * Throws `StartError` when another one runs there.
 */
export async function claimDataFolder(runDir: string, dataDir: string): Promise<() => Promise<void>> {
  const file = join(runDir, 'up.pid');
  try {
    await writeFile(file, String(process.pid), { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const pid = await readPid(file);
    if (pid !== process.pid && (await commandLine(pid)).includes('local/main.ts')) {
      throw new StartError(
        `The stack already runs on ${dataDir} (process ${pid}). Stop that one, or give this one another folder in REELAY_DATA.`,
      );
    }
    await rm(file, { force: true });
    return claimDataFolder(runDir, dataDir);
  }
  return () => rm(file, { force: true });
}

/**
 * Ends the process a killed supervisor left behind, if there is one. Every child has the data folder in its
 * command line, which tells ours from a stranger who got the same id. Answers whether there was one.
 */
export async function endLeftover(pidFile: string, dataDir: string): Promise<boolean> {
  const pid = await readPid(pidFile);
  const isOurs = async () => (await commandLine(pid)).includes(dataDir);
  if (!(await isOurs())) return false;
  signal(pid, 'SIGTERM');
  for (const deadline = performance.now() + LEFTOVER_GRACE_MS; await isOurs(); await wait(25)) {
    if (performance.now() > deadline) signal(pid, 'SIGKILL');
  }
  return true;
}

/** Sends a signal; a process that is gone, or a negative id's empty group, is fine. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The id in a file, 0 when there is none. */
async function readPid(file: string): Promise<number> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return /^\d+$/.test(text.trim()) ? Number(text) : 0;
}

/** What a process was started with, empty when it is gone. Linux without `ps` is common, so /proc first. */
async function commandLine(pid: number): Promise<string> {
  if (pid === 0) return '';
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  const ps = promisify(execFile)('ps', ['-ww', '-p', String(pid), '-o', 'command=']);
  return ps.then(
    ({ stdout }) => stdout,
    () => '',
  );
}
