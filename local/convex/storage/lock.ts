import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabase } from './storage.ts';

/**
 * Takes the data folder for this process; resolves with the way to give it back. Throws when a live
 * engine has it. The lock of a process that died is taken over, by one of those who come for it.
 */
export async function lockFolder(folder: string): Promise<() => void> {
  // LMDB's lock for writers goes from process to process, and from a dead one too: only who has it
  // looks at the file and writes it, so that two cannot both find the owner dead.
  const db = openDatabase(folder);
  try {
    return db.transactionSync(() => take(folder));
  } finally {
    await db.close();
  }
}

function take(folder: string): () => void {
  const file = join(folder, 'engine.lock');
  const owner = read(file);
  const [pid = ''] = owner.split(' ');
  if (pid !== '' && signature(Number(pid)) === owner) {
    throw new Error(`The data folder ${folder} is in use by the engine with process id ${pid}.`);
  }
  // Whole or not at all, should this process die here.
  writeFileSync(`${file}.new`, signature(process.pid) ?? String(process.pid));
  renameSync(`${file}.new`, file);
  return () => rmSync(file, { force: true });
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
  // Zero and below would mean groups of processes.
  if (!(pid > 0)) return undefined;
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
