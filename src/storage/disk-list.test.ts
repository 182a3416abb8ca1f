import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareKeys, walkKeys } from './disk-list.ts';

/** More in one folder than are held at once, and folders among them that sort before and after files of like names. */
const keys = Array.from({ length: 5_000 }, (_, index) => `wide/${index}`)
  .concat(Array.from({ length: 300 }, (_, index) => `wide/${index * 7}-/deep/${index}`))
  .concat(['a', 'b!', 'b-/x', 'b/x', 'b/y/z', 'b0', 'é/x', '\uffee', '🎬'])
  .toSorted(compareKeys);

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'reelay-list-'));
  for (const key of keys) {
    await mkdir(join(root, dirname(key)), { recursive: true });
    await writeFile(join(root, key), '');
  }
  await mkdir(join(root, 'wide/empty'));
});
afterAll(() => rm(root, { recursive: true }));

async function walk(prefix: string, after: string, limit: number): Promise<string[]> {
  const found: string[] = [];
  for await (const key of walkKeys(root, prefix, after, prefix.slice(0, prefix.lastIndexOf('/') + 1))) {
    if (found.push(key) === limit) break;
  }
  return found;
}

describe('walking the keys of a folder', () => {
  test('finds every one, in byte order', async () => {
    expect(await walk('', '', Number.POSITIVE_INFINITY)).toEqual(keys);
  });

  test('agrees with a sorted list, whatever prefix and beginning', async () => {
    const prefix = fc.constantFrom('', 'b', 'b/', 'b/y', 'wide/', 'wide/1', 'wide/49', 'wide/7-/', 'none/', 'é', 'a');
    const after = fc.oneof(fc.constantFrom('', 'b/', 'b/y/', 'wide/7', 'wide/7-/', 'zzz'), fc.constantFrom(...keys));
    await fc.assert(
      fc.asyncProperty(prefix, after, fc.integer({ min: 1, max: 50 }), async (start, from, limit) => {
        const expected = keys.filter((key) => key.startsWith(start) && compareKeys(key, from) > 0).slice(0, limit);
        expect(await walk(start, from, limit)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });
});
