import { existsSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { type DiskTree, META_SUFFIX, moveInto } from './disk-tree.ts';
import { quarantineKey } from './keys.ts';

/**
 * Moves the object of `key`, whatever its bytes are, to its quarantine key, and resolves once that survives a power cut.
 * False when there is none. A move that a crash cut in two is ended by the next call.
 */
export async function quarantineObject(tree: DiskTree, key: string): Promise<boolean> {
  const [from, to] = [tree.pathOf(key), tree.pathOf(quarantineKey(key))];
  await tree.assertInside(dirname(from));
  if (!isWhole(from) && !isHalf(from, to)) return false;
  const moved = await moveInto(tree, dirname(to), () => move(from, to));
  await tree.sync(dirname(to));
  await tree.prune(dirname(from));
  return moved;
}

/** All in one turn of the event loop, so that no put comes in between. False when another call was faster. */
function move(from: string, to: string): boolean {
  if (isWhole(from)) {
    // What was quarantined before goes first: its metadata must not be taken for that of the bytes that come.
    rmSync(to + META_SUFFIX, { force: true });
    renameSync(from, to);
  } else if (!isHalf(from, to)) return false;
  renameSync(from + META_SUFFIX, to + META_SUFFIX);
  return true;
}

const isWhole = (path: string) => existsSync(path) && existsSync(path + META_SUFFIX);

/** True when the bytes have moved and their metadata has not. */
function isHalf(from: string, to: string): boolean {
  const isThere = [from, from + META_SUFFIX, to, to + META_SUFFIX].map((path) => existsSync(path));
  return isThere.join() === 'false,true,true,false';
}
