import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Makes a named pipe; Node has no call for it. */
export async function mkfifo(path: string): Promise<void> {
  await promisify(execFile)('mkfifo', [path]);
}
