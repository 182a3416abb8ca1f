import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BuildFailure, build, type Message } from 'esbuild';

/** The exports of one file of the functions folder. */
export type ModuleExports = Readonly<Record<string, unknown>>;

const SOURCE = /\.(ts|tsx|js|jsx|mjs|mts)$/;

/**
 * Bundles a functions folder into `out` and loads every file of it, by its path without extension.
 * Throws one sentence naming file and line when it does not bundle, or the file when it does not load.
 */
export async function loadFunctions(folder: string, out: string): Promise<Map<string, ModuleExports>> {
  const root = resolve(folder);
  if (!existsSync(root)) throw new Error(`The functions folder ${root} does not exist.`);
  const files = await sourceFiles(root);
  if (files.length === 0) throw new Error(`The functions folder ${root} holds no functions.`);
  await rm(out, { recursive: true, force: true });
  await bundle(root, files, out);
  const modules = new Map<string, ModuleExports>();
  for (const file of files) {
    const path = relative(root, file).replace(SOURCE, '').replaceAll('\\', '/');
    try {
      modules.set(path, (await import(pathToFileURL(join(out, `${path}.mjs`)).href)) as ModuleExports);
    } catch (error) {
      throw new Error(`${file} does not load: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }
  return modules;
}

async function sourceFiles(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.filter((file) => isEntry(relative(root, file))).sort();
}

/** Convex's own rule: `_generated` and files with several dots (`x.test.ts`, `x.d.ts`) are no functions. */
function isEntry(path: string): boolean {
  if (!SOURCE.test(path) || /(^|[\\/])(_generated|node_modules)[\\/]/.test(path)) return false;
  if (path === 'convex.config.ts') throw new Error('convex.config.ts: components are not supported by this engine.');
  return path.startsWith('auth.config.') || !basename(path).replace(SOURCE, '').includes('.');
}

async function bundle(root: string, files: string[], out: string): Promise<void> {
  try {
    await build({
      entryPoints: files,
      outbase: root,
      outdir: out,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node22',
      sourcemap: 'inline',
      sourcesContent: false,
      logLevel: 'silent',
      conditions: ['convex', 'module'],
      // A folder without node_modules of its own still finds `convex`.
      nodePaths: [join(import.meta.dirname, '../../../node_modules')],
      banner: {
        js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
      },
    });
  } catch (error) {
    const [first] = isBuildFailure(error) ? error.errors : [];
    throw new Error(first ? describe(first) : `${root} does not bundle: ${error}`, { cause: error });
  }
}

function describe({ location, text }: Message): string {
  return location ? `${location.file}:${location.line}:${location.column + 1} does not bundle: ${text}` : text;
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && 'errors' in error && Array.isArray(error.errors);
}
