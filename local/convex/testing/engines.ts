import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFunctionReference } from 'convex/server';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { type EngineProcess, spawnEngine } from '#local/convex/spawn.ts';

/** The functions folder of the engine's own tests. */
export const FIXTURE = join(import.meta.dirname, 'fixture');

/** A new folder, removed when the test has finished. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'convex-engine-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A functions folder with these files, removed when the test has finished. */
export async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

/** An engine on the fixture, or other `functions`, ended when the test has finished. */
export async function startEngine(
  options: { functions?: string; data?: string; env?: Record<string, string>; port?: number } = {},
): Promise<EngineProcess> {
  const { functions = FIXTURE, data = await temporaryFolder(), env = {}, port = 0 } = options;
  const engine = await spawnEngine({ functions, data, env, port });
  onTestFinished(() => engine.kill());
  return engine;
}

/** One engine for all tests of a file; its addresses and process id are there once they run. */
export function sharedEngine(env: Record<string, string> = {}): Pick<EngineProcess, 'url' | 'siteUrl' | 'pid'> {
  let engine: EngineProcess | undefined;
  let data = '';
  beforeAll(async () => {
    data = await mkdtemp(join(tmpdir(), 'convex-engine-'));
    engine = await spawnEngine({ functions: FIXTURE, data, env });
  });
  afterAll(async () => {
    // Ends one that functions keep too busy to stop, too.
    await engine?.kill();
    await rm(data, { recursive: true, force: true });
  });
  return {
    get url() {
      return engine?.url ?? '';
    },
    get siteUrl() {
      return engine?.siteUrl;
    },
    get pid() {
      return engine?.pid ?? 0;
    },
  };
}

/** The fixture's functions by name. */
export const query = (name: string) => makeFunctionReference<'query'>(name);
export const mutation = (name: string) => makeFunctionReference<'mutation'>(name);
export const action = (name: string) => makeFunctionReference<'action'>(name);
