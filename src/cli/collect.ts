import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import type { AssetType } from '#domain';
import { UsageError } from './exit.ts';

/** A file found on this machine. `name` is its name, or within a folder its path below that folder. */
export interface LocalFile {
  readonly path: string;
  readonly name: string;
  readonly size: number;
  readonly assetType: AssetType;
}

export interface Skipped {
  readonly path: string;
  readonly why: string;
}

/** What an asset is by the extension of its file, in lower case. */
export const TYPES_BY_EXTENSION: Readonly<Record<string, AssetType>> = {
  '.mp4': 'video_chunk',
  '.mov': 'video_chunk',
  '.webm': 'video_chunk',
  '.py': 'source_code',
  '.ts': 'source_code',
  '.js': 'source_code',
  '.png': 'thumbnail',
  '.jpg': 'thumbnail',
  '.jpeg': 'thumbnail',
  '.webp': 'thumbnail',
  '.srt': 'subtitle',
  '.vtt': 'subtitle',
};

/** Mistakes named in one message. */
const NAMED = 10;

/**
 * Finds the files that `paths` name, folders with all below them in order of name. Links, hidden files and
 * empty files inside folders are skipped; what is named itself is always taken. `type` stands for all of
 * them, else the extension decides. Throws `UsageError` with every mistake.
 */
export async function collect(
  paths: readonly string[],
  base: string,
  type?: AssetType,
): Promise<{ files: LocalFile[]; skipped: Skipped[] }> {
  const files: LocalFile[] = [];
  const skipped: Skipped[] = [];
  const mistakes: string[] = [];

  async function take(path: string, name: string, named: boolean): Promise<void> {
    const { size } = await stat(path);
    const assetType = type ?? TYPES_BY_EXTENSION[extname(path).toLowerCase()];
    if (size === 0 && !named) skipped.push({ path, why: 'it is empty' });
    else if (size === 0) mistakes.push(`${path} is empty.`);
    else if (!assetType) mistakes.push(`${path}: its type cannot be told from its extension; give --type.`);
    else files.push({ path, name, size, assetType });
  }

  async function walk(folder: string, prefix: string): Promise<void> {
    const entries = await readdir(folder, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name);
      const why = reasonToSkip(entry);
      if (why) skipped.push({ path, why });
      else if (entry.isDirectory()) await walk(path, `${prefix}${entry.name}/`);
      else await take(path, prefix + entry.name, false);
    }
  }

  for (const given of paths) {
    const path = resolve(base, given);
    try {
      const facts = await stat(path);
      if (facts.isDirectory()) await walk(path, '');
      else if (facts.isFile()) await take(path, basename(path), true);
      else mistakes.push(`${given} is neither a file nor a folder.`);
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      mistakes.push(isMissing(thrown, path) ? `${given}: there is no such file.` : `${given} cannot be read (${why}).`);
    }
  }
  if (mistakes.length > NAMED) mistakes.splice(NAMED, mistakes.length, `… and ${mistakes.length - NAMED} more.`);
  if (mistakes.length > 0) throw new UsageError(mistakes.join('\n'));
  if (files.length === 0) throw new UsageError(`There is no file to upload in ${paths.join(', ')}.`);
  return { files, skipped };
}

/** True when there is nothing at `path` itself; below it, something may have gone while we looked. */
function isMissing(thrown: unknown, path: string): boolean {
  const { code, path: missing } = thrown as NodeJS.ErrnoException;
  return code === 'ENOENT' && missing === path;
}

function reasonToSkip(entry: Dirent): string | undefined {
  if (entry.name.startsWith('.')) return 'it is hidden';
  if (entry.isSymbolicLink()) return 'it is a link';
  return entry.isFile() || entry.isDirectory() ? undefined : 'it is not a regular file';
}
