import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import packageJson from '#package' with { type: 'json' };

/** The aliases each room may import, as the table of docs/design.md has them; a file that is not there stands for a new one. */
const TABLE: Readonly<Record<string, string>> = {
  'src/errors.ts': '',
  'src/domain.ts': '',
  'src/mistakes.ts': '',
  'src/planted.ts': '',
  'src/answers.ts': 'errors domain',
  'src/config.ts': 'mistakes',
  'src/config-planted.ts': 'mistakes',
  'src/process.ts': 'config',
  'src/log.ts': 'config',
  'src/metrics.ts': 'config',
  'src/compose.ts': 'errors domain config log metrics redis breakers queues storage metadata cache',
  'src/redis/planted.ts': 'errors',
  'src/breakers/planted.ts': 'redis errors',
  'src/queues/planted.ts': 'redis errors domain',
  'src/storage/planted.ts': 'errors domain log config',
  'src/metadata/planted.ts': 'errors domain log config redis convex',
  'src/cache/planted.ts': 'redis errors domain',
  'src/processors/planted.ts': 'redis breakers queues errors domain log metrics config storage metadata',
  'src/api/planted.ts':
    'redis breakers queues errors domain log metrics config storage metadata cache answers mistakes package',
  'src/processors/main.ts': 'compose process',
  'src/api/main.ts': 'compose process',
  'src/client/planted.ts': 'answers errors domain',
  'src/cli/planted.ts': 'client domain errors package',
  'src/cli/main.ts': 'client domain errors package',
  'src/cli/config-check-planted.ts': 'client domain errors package config redis',
  'examples/agent/planted.ts': 'client',
  'convex/planted.ts': '',
  'convex/model/planted.ts': '',
  'local/planted.ts': 'config',
  'local/main.ts': 'config',
  'local/seed.ts': 'config',
  'local/credentials.ts': 'config',
  'local/convex/planted.ts': '',
};

/** What each file tries: every alias, and the ways around them. */
const ALIASES = Object.keys(packageJson.imports).map((alias) => alias.replace('*', 'deep/planted.ts'));
const AROUND: Readonly<Record<string, string>> = {
  'src/planted.ts': './queues/ids.ts',
  'src/compose.ts': './api/app.ts',
  'src/queues/planted.ts': '../errors.ts',
  'convex/planted.ts': '../src/queues/ids.ts',
  'convex/model/planted.ts': '../../src/queues/ids.ts',
  'local/planted.ts': '../src/queues/ids.ts',
  'local/convex/planted.ts': '../main.ts',
};

let folder: string;
let refused: Map<string, string[]>;

beforeAll(async () => {
  folder = await mkdtemp(join(await realpath(tmpdir()), 'import-table-'));
  await copyFile('biome.json', join(folder, 'biome.json'));
  for (const path of Object.keys(TABLE)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    const imports = triedBy(path).map((name) => `import '${name}';\n`);
    await writeFile(join(folder, path), imports.join(''));
  }
  refused = await lint();
});
afterAll(() => rm(folder, { recursive: true }));

const triedBy = (path: string) => [...ALIASES, ...(AROUND[path] ? [AROUND[path]] : [])];

/** By file, what the linter refuses to let it import. */
async function lint(): Promise<Map<string, string[]>> {
  const args = ['lint', '--only=style/noRestrictedImports', '--vcs-enabled=false', '--max-diagnostics=none'];
  const output = await new Promise<string>((resolve) => {
    const biome = join(process.cwd(), 'node_modules/.bin/biome');
    execFile(biome, [...args, '--reporter=github'], { cwd: folder, maxBuffer: 2 ** 24 }, (_, out) => resolve(out));
  });
  const found = new Map<string, string[]>();
  for (const [, file = '', line = ''] of output.matchAll(/file=([^,]+),line=(\d+)/g)) {
    const path = relative(folder, file);
    found.set(path, [...(found.get(path) ?? []), triedBy(path)[Number(line) - 1] ?? '']);
  }
  return found;
}

it.each(Object.entries(TABLE))('%s may import %s and no other room', (path, allowed) => {
  const may = new Set(allowed.split(' '));
  const expected = triedBy(path).filter((name) => !may.has(/^#(\w+)/.exec(name)?.[1] ?? name));
  expect(refused.get(path)?.toSorted()).toEqual(expected.toSorted());
});
