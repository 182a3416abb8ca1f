import { mkdir, open, realpath, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '#errors';
import { assertKey } from './keys.ts';
import { isMissing, systemCode } from './system-error.ts';

/** Ends the name of the metadata beside an object; no safe name has `#`, and a key that ends so is refused. */
export const META_SUFFIX = '#meta';
/** A directory found missing so often in a row was not only pruned at a bad moment. */
const MOVE_TRIES = 5;

/** The folder whose files are the objects, named by their keys. */
export interface DiskTree {
  readonly root: string;
  /** Path of the object. Throws `STORE_REJECTED` for a key that is none. */
  pathOf(key: string): string;
  /** Makes `directory` and what leads to it, durably. Throws `STORE_REJECTED` when a symbolic link is on the way. */
  ensure(directory: string): Promise<void>;
  /** Throws `STORE_REJECTED` when a symbolic link is on the way to `directory`; missing is fine, unless `root` is too. */
  assertInside(directory: string): Promise<void>;
  /** Makes the entries of `directory` durable. Calls that come while it is being done share the next turn. */
  sync(directory: string): Promise<void>;
  /** Removes `directory` and its parents as far as they are empty, and makes that durable. */
  prune(directory: string): Promise<void>;
}

/** `root` exists and is a real path. */
export function createDiskTree(root: string): DiskTree {
  const turns = new Map<string, { running: Promise<void>; next?: Promise<void> }>();

  function startTurn(directory: string): Promise<void> {
    const turn: { running: Promise<void>; next?: Promise<void> } = { running: syncDirectory(directory) };
    turns.set(directory, turn);
    const end = () => {
      if (turn.next === undefined) turns.delete(directory);
    };
    turn.running.then(end, end);
    return turn.running;
  }

  function sync(directory: string): Promise<void> {
    const turn = turns.get(directory);
    if (turn === undefined) return startTurn(directory);
    const restart = () => startTurn(directory);
    turn.next ??= turn.running.then(restart, restart);
    return turn.next;
  }

  async function exists(directory: string): Promise<boolean> {
    const real = await realpath(directory).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (real === undefined) {
      // Nothing can be said of a store whose root is gone, as when its disk is not mounted: this throws ENOENT then.
      await stat(root);
      return false;
    }
    if (real !== directory) throw new AppError('STORE_REJECTED', 'A symbolic link is on the way to the object.');
    return true;
  }

  async function ensure(directory: string): Promise<void> {
    if (await exists(directory)) return;
    const parent = dirname(directory);
    await ensure(parent);
    await mkdir(directory).catch((error: unknown) => {
      if (systemCode(error) !== 'EEXIST') throw error;
    });
    await sync(parent);
  }

  async function prune(directory: string): Promise<void> {
    if (directory === root) return sync(root);
    try {
      await rmdir(directory);
    } catch (error) {
      if (systemCode(error) === 'ENOTEMPTY') return sync(directory);
      if (!isMissing(error)) throw error;
    }
    return prune(dirname(directory));
  }

  return {
    root,
    pathOf(key) {
      assertKey(key);
      if (key.endsWith(META_SUFFIX)) throw new AppError('STORE_REJECTED', `A key may not end with ${META_SUFFIX}.`);
      return join(root, key);
    },
    ensure,
    assertInside: async (directory) => void (await exists(directory)),
    sync,
    prune,
  };
}

/**
 * Moves something into `directory` by renames, in one turn of the event loop. One that is pruned as empty meanwhile, or
 * its parent, is made again.
 */
export async function moveInto<T>(tree: Pick<DiskTree, 'ensure'>, directory: string, move: () => T): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      await tree.ensure(directory);
      return move();
    } catch (error) {
      if (!isMissing(error) || tries === MOVE_TRIES) throw error;
    }
  }
}

/** Makes the entries of `directory` durable. One that is gone has none left to keep. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (handle === undefined) return;
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
