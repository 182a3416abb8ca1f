import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface Manifest {
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
}

interface Lock {
  readonly packages: Record<string, { optionalDependencies?: Record<string, string> }>;
}

const manifest: Manifest = JSON.parse(read('package.json'));
const direct = { ...manifest.dependencies, ...manifest.devDependencies };

describe('direct dependencies', () => {
  it('are pinned exactly', () => {
    const loose = Object.entries(direct).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
    expect(loose).toEqual([]);
  });

  it('have a row in docs/dependencies.md, and no row is left over', () => {
    const rows = read('docs/dependencies.md').split('\n## Outside npm')[0] ?? '';
    const named = [...rows.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
    );
    expect(named.toSorted()).toEqual(Object.keys(direct).toSorted());
  });
});

describe('the lock file', () => {
  /** `npm ci` refuses it otherwise, and a registry that lacks other platforms' packages makes npm leave them out. */
  it('names the optional packages of every platform', () => {
    const { packages }: Lock = JSON.parse(read('package-lock.json'));
    const missing = Object.entries(packages).flatMap(([path, entry]) =>
      Object.keys(entry.optionalDependencies ?? {}).filter(
        (name) => !packages[`node_modules/${name}`] && !packages[`${path}/node_modules/${name}`],
      ),
    );
    expect(missing).toEqual([]);
  });
});

it('the image runs the Node that npm scripts run', () => {
  expect(read('Dockerfile')).toContain(`FROM node:${direct.node}-slim AS base`);
});

function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
}
