import type { FileOrigin } from '#queues/catalog.ts';
import { createPathOpener, fileSource, stagedSource, urlSource } from '#storage/source.ts';
import type { Source, Store } from '#storage/store.ts';

/** Opens where a file's bytes come from. Throws what is wrong with it, `ORIGIN_NOT_FOUND` for example. */
export function originOpener(store: Store, uploadRoots: readonly string[]): (origin: FileOrigin) => Promise<Source> {
  const openPath = createPathOpener(uploadRoots);
  return async (origin) => {
    switch (origin.kind) {
      case 'path':
        return fileSource(origin.path, openPath);
      case 'url':
        return urlSource(origin.url);
      case 'staged':
        return stagedSource(store, origin.key, origin.slice);
    }
  };
}
