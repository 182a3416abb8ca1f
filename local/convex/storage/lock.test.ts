import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '#local/convex/testing/engines.ts';
import { lockFolder } from './lock.ts';

/** Says when it is ready, takes the lock at a word, says what came of it, and lives until it is killed. */
const STARTER = `
  import { lockFolder } from ${JSON.stringify(join(import.meta.dirname, 'lock.ts'))};
  console.log('ready');
  process.stdin.once('data', async () => {
    console.log(await lockFolder(process.argv[1]).then(() => 'taken', (error) => error.message));
  });
`;

/** A process that is about to start an engine on the folder; `go` answers what it says. */
async function starter(folder: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', STARTER, folder]);
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('ready');
  return {
    pid: child.pid,
    async go() {
      child.stdin.write('go\n');
      return String((await lines.next()).value);
    },
    async kill() {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

test('of 20 who start at once on the folder of a dead engine one wins, the others say so', async () => {
  const folder = await temporaryFolder();
  const dead = await starter(folder);
  expect(await dead.go()).toBe('taken');
  await dead.kill();
  const starters = await Promise.all(Array.from({ length: 20 }, () => starter(folder)));
  const said = await Promise.all(starters.map(({ go }) => go()));
  const winners = starters.filter((_, at) => said[at] === 'taken');
  expect(winners).toHaveLength(1);
  const refusal = `The data folder ${folder} is in use by the engine with process id ${winners[0]?.pid}.`;
  expect(said.filter((line) => line === refusal)).toHaveLength(19);
});

test('a lock that nobody has is taken, whatever is in it, and is gone when given back', async () => {
  const folder = await temporaryFolder();
  const file = join(folder, 'engine.lock');
  for (const left of ['', 'nonsense', '0', '-1', `${process.pid} 1`, '4194304 5']) {
    await writeFile(file, left);
    const unlock = await lockFolder(folder);
    expect(await readFile(file, 'utf8')).toMatch(new RegExp(`^${process.pid}\\b`));
    await expect(lockFolder(folder)).rejects.toThrow(`process id ${process.pid}`);
    unlock();
    expect(existsSync(file)).toBe(false);
  }
});
