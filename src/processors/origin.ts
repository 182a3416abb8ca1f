import type { Config } from '#config';
import { AppError } from '#errors';
import type { PackFile } from '#queues/catalog.ts';
import { createPathOpener, createUrlPolicy, fileSource, stagedSource, urlSource } from '#storage/source.ts';
import type { Source, Store } from '#storage/store.ts';

/**
 * Opens where a file's bytes come from. Throws what is wrong with it, `ORIGIN_NOT_FOUND` for example, and
 * `SIZE_MISMATCH` when it is known before reading that they are not as many as announced.
 */
export function originOpener(
  store: Store,
  { uploadRoots, urlOrigins }: Pick<Config, 'uploadRoots' | 'urlOrigins'>,
): (file: Pick<PackFile, 'origin' | 'size'>) => Promise<Source> {
  const openPath = createPathOpener(uploadRoots);
  const policy = createUrlPolicy(urlOrigins);

  async function open({ origin, size }: Pick<PackFile, 'origin' | 'size'>): Promise<Source> {
    switch (origin.kind) {
      case 'path':
        return fileSource(origin.path, openPath);
      case 'url':
        return urlSource(origin.url, policy, { size });
      case 'staged':
        return stagedSource(store, origin.key, origin.slice);
    }
  }

  return async (file) => {
    const source = await open(file);
    if (file.size !== undefined && source.size !== undefined && source.size !== file.size) {
      throw new AppError('SIZE_MISMATCH', `The origin has ${source.size} bytes, ${file.size} were announced.`, {
        details: { announced: file.size, actual: source.size },
      });
    }
    return source;
  };
}
