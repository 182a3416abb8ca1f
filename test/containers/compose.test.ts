import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const execute = promisify(execFile);
const ROOT = new URL('../..', import.meta.url);
const SECRETS = ['MINIO_ROOT_USER', 'MINIO_ROOT_PASSWORD', 'CONVEX_INSTANCE_SECRET', 'REELAY_ADMIN_PASSWORD'];

it('docker-compose.yml is valid, its parts pinned and watched', async () => {
  const { services } = await config(Object.fromEntries(SECRETS.map((name) => [name, `the ${name}`])));
  expect(Object.keys(services).toSorted()).toEqual([
    'api',
    'convex',
    'convex-admin-key',
    'convex-dashboard',
    'convex-deploy',
    'minio',
    'minio-bucket',
    'redis',
    'worker',
  ]);
  for (const [name, { image }] of Object.entries(services)) {
    if (image) expect(image, name).toMatch(/:(\d+\.\d+\.\d+|RELEASE\.|[0-9a-f]{40})/);
  }
  expect(services.redis?.command).toContain('--appendonly yes --appendfsync always');
  expect(services.redis?.command).toContain('--maxmemory-policy noeviction');
  expect(services.api?.environment).toEqual(services.worker?.environment);
});

it('publishes on loopback only', async () => {
  const { services } = await config(Object.fromEntries(SECRETS.map((name) => [name, 'secret'])));
  const ports = Object.values(services).flatMap((service) => service.ports ?? []);
  expect(ports.length).toBeGreaterThan(0);
  expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
});

it.each(SECRETS)('refuses to start without %s, which .env.example names', async (missing) => {
  const others = Object.fromEntries(SECRETS.filter((name) => name !== missing).map((name) => [name, 'secret']));
  await expect(config(others)).rejects.toThrow(/\.env/);
  expect(await readFile(new URL('.env.example', ROOT), 'utf8')).toMatch(new RegExp(`^${missing}=`, 'm'));
});

interface Composition {
  readonly services: Record<
    string,
    { image?: string; command?: string; ports?: string[]; environment?: Record<string, string> }
  >;
}

/** The file as docker-compose understands it, with every reference resolved from these values alone. */
async function config(values: Record<string, string>): Promise<Composition> {
  const dir = await mkdtemp(join(tmpdir(), 'reelay-compose-'));
  try {
    const envFile = join(dir, 'env');
    await writeFile(
      envFile,
      Object.entries(values).map(([name, value]) => `${name}=${value}\n`),
    );
    const yaml = await execute('docker-compose', ['--env-file', envFile, 'config'], {
      cwd: ROOT,
      env: { PATH: process.env.PATH },
    }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      throw new Error('docker-compose is missing: run npm run test:more, which installs it.');
    });
    const toJson = 'import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.argv[1])))';
    return JSON.parse((await execute('python3', ['-c', toJson, yaml.stdout])).stdout);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
