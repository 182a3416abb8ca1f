import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Takes the data folder for this process; returns the way to give it back. Throws when a live engine
 * has it. The lock of a process that died is taken over.
 */
export function lockFolder(folder: string): () => void {
  const file = join(folder, 'engine.lock');
  const mine = signature(process.pid);
  for (;;) {
    try {
      writeFileSync(file, mine ?? String(process.pid), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const [pid = ''] = read(file).split(' ');
    if (pid !== '' && signature(Number(pid)) === read(file)) {
      throw new Error(`The data folder ${folder} is in use by the engine with process id ${pid}.`);
    }
    rmSync(file, { force: true });
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Names a live process, with its start time where the system tells: process ids are used again. */
function signature(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return undefined;
  }
  const stat = read(`/proc/${pid}/stat`);
  if (stat === '') return String(pid);
  // Fields follow the command's name, which stands in parentheses and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  return state === 'Z' ? undefined : `${pid} ${fields[19]}`;
}
