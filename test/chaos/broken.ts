import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Plan } from './plan.ts';
import { CALM } from './plans.ts';

/** A build with one promise taken out of it, the faults that show it, and what the judge must say. */
export interface Breakage {
  readonly build: string;
  /** Exact text of the tree, each there once, and what stands there instead. */
  readonly patches: readonly { readonly file: string; readonly find: string; readonly put: string }[];
  readonly plan: Plan;
  /** A promise that must be broken, and the words of what breaks it. */
  readonly caught: { readonly promise: string; readonly by: RegExp };
}

export const BREAKAGES: readonly Breakage[] = [
  {
    build: 'commits before it stores',
    patches: [
      {
        file: 'src/processors/upload.ts',
        find: 'const stages = await storeFiles(parts, open);',
        put: `const stages = open.map((file) => ({ file, stored: { s3Key: file.s3Key, size: file.size, checksum: file.checksum, verifiedBy: 'checksum' } }));`,
      },
      {
        file: 'src/processors/upload.ts',
        find: 'return await commitPack(parts, stages);',
        put: 'const outcome = await commitPack(parts, stages); await storeFiles(parts, open); return outcome;',
      },
    ],
    plan: { ...CALM, killEvery: 2_000, mostKills: 6 },
    caught: { promise: 'lost', by: /ready without its object/ },
  },
  {
    build: 'writes statuses without their fence',
    patches: [
      {
        file: 'convex/model/statuses.ts',
        find: 'if (row && !isNews(update, row)) continue;',
        put: '',
      },
    ],
    plan: { ...CALM, stalls: 8 },
    caught: { promise: 'stuck', by: /: (pending|uploading)$/ },
  },
  {
    build: 'spends tries on outages',
    patches: [
      {
        file: 'src/errors.ts',
        find: 'get unavailable(): boolean {',
        put: 'get unavailable(): boolean {\n    if (this) return false;',
      },
    ],
    plan: { ...CALM, cutFor: 4_000 },
    caught: { promise: 'tries spent on outages and crashes', by: /: \d+$/ },
  },
];

const ROOT = join(import.meta.dirname, '../..');

/** Copies what runs of this tree, with the breakage in it, and returns the folder. Throws when the text is not there once. */
export async function breakBuild({ patches }: Breakage): Promise<{ root: string; remove(): Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'reelay-broken-'));
  for (const part of ['src', 'convex', 'package.json'])
    await cp(join(ROOT, part), join(root, part), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  for (const { file, find, put } of patches) {
    const [before, after, ...more] = (await readFile(join(root, file), 'utf8')).split(find);
    if (after === undefined || more.length > 0) throw new Error(`${file} does not have, once: ${find}`);
    await writeFile(join(root, file), `${before}${put}${after}`);
  }
  return { root, remove: () => rm(root, { recursive: true, force: true }) };
}
