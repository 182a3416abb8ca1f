import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import { type AssetType, belongsToScene } from '#domain';
import { ReelayError, wordsOf } from './error.ts';
import { LARGEST_FORM } from './upload.ts';

/** A file found on this machine. `name` is its name, or within a folder its path below that folder. */
export interface LocalFile {
  readonly path: string;
  readonly name: string;
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
  readonly assetType: AssetType;
}

/** What has a journal of its own: a folder with all files below it, or a large file; or what is sent without one. */
export interface LocalGroup {
  /** Real path of the folder or large file. */
  readonly path: string | undefined;
  /** Files named themselves are sent each time; of earlier runs they only go on with what these did not end. */
  readonly named: boolean;
  readonly files: readonly LocalFile[];
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

interface FindOptions {
  /** Folder that relative paths start from; the process's own unless given. */
  readonly base?: string | undefined;
  /** Stands for all files; else the extension decides. */
  readonly assetType?: AssetType | undefined;
  /** Types of scenes want one, types of sessions none. */
  readonly scene?: string | undefined;
}

/**
 * Finds the files that `paths` name, folders with all below them in order of name. Links, hidden files and
 * empty files inside folders are skipped; what is named itself is always taken. Throws `NOT_UPLOADABLE` with
 * every mistake.
 */
export async function findFiles(
  paths: readonly string[],
  { base = process.cwd(), assetType: type, scene }: FindOptions,
): Promise<{ groups: LocalGroup[]; skipped: Skipped[] }> {
  const skipped: Skipped[] = [];
  const mistakes: string[] = [];

  async function take(files: LocalFile[], path: string, name: string, named: boolean): Promise<void> {
    const { size, mtimeMs: modifiedAt } = await stat(path);
    const assetType = type ?? TYPES_BY_EXTENSION[extname(path).toLowerCase()];
    const misplaced = assetType && misplacedBy(assetType, scene);
    if (size === 0 && !named) skipped.push({ path, why: 'it is empty' });
    else if (size === 0) mistakes.push(`${path} is empty.`);
    else if (!assetType) mistakes.push(`${path}: its type cannot be told from its extension; name it (--type).`);
    else if (misplaced) mistakes.push(`${path}: ${misplaced}`);
    else files.push({ path, name, size, modifiedAt, assetType });
  }

  async function walk(files: LocalFile[], folder: string, prefix: string): Promise<void> {
    const entries = await readdir(folder, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name);
      const why = reasonToSkip(entry);
      if (why) skipped.push({ path, why });
      else if (entry.isDirectory()) await walk(files, path, `${prefix}${entry.name}/`);
      else await take(files, path, prefix + entry.name, false);
    }
  }

  const named: LocalFile[] = [];
  const groups: LocalGroup[] = [{ path: undefined, named: true, files: named }];
  for (const given of paths) {
    const path = resolve(base, given);
    try {
      const facts = await stat(path);
      if (facts.isDirectory()) {
        const files: LocalFile[] = [];
        await walk(files, path, '');
        groups.push({ path: await realpath(path), named: false, files });
      } else if (facts.isFile() && facts.size > LARGEST_FORM) {
        const files: LocalFile[] = [];
        await take(files, path, basename(path), true);
        groups.push({ path: await realpath(path), named: true, files });
      } else if (facts.isFile()) await take(named, path, basename(path), true);
      else mistakes.push(`${given} is neither a file nor a folder.`);
    } catch (thrown) {
      const missing = isMissing(thrown, path);
      mistakes.push(missing ? `${given}: there is no such file.` : `${given} cannot be read (${wordsOf(thrown)}).`);
    }
  }
  if (mistakes.length === 0 && groups.every(({ files }) => files.length === 0)) {
    mistakes.push(`There is no file to upload in ${paths.join(', ')}.`);
  }
  if (mistakes.length > 0) throw notUploadable(mistakes);
  return { groups, skipped };
}

function misplacedBy(assetType: AssetType, scene: string | undefined): string | undefined {
  if (belongsToScene(assetType) === (scene !== undefined)) return undefined;
  return scene === undefined
    ? `a ${assetType} belongs to a scene: name one (--scene).`
    : `a ${assetType} belongs to a session: name no scene (--scene).`;
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

function notUploadable(mistakes: readonly string[]): ReelayError {
  const more = mistakes.length > NAMED ? [`… and ${mistakes.length - NAMED} more.`] : [];
  return new ReelayError({
    code: 'NOT_UPLOADABLE',
    message: [...mistakes.slice(0, NAMED), ...more].join('\n'),
    retryable: false,
    nextAction: 'Correct what is named; nothing was sent.',
    details: { mistakes },
  });
}
