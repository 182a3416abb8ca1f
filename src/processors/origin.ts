import type { FileOrigin } from '#queues/catalog.ts';
import { createPathOpener, stagedSource, urlSource } from '#storage/source.ts';
import type { Source, Store } from '#storage/store.ts';

/** Opens where a file's bytes come from. What is wrong with an origin shows when it is read. */
export function originOpener(store: Store, uploadRoots: readonly string[]): (origin: FileOrigin) => Source {
  const openPath = createPathOpener(uploadRoots);
  return (origin) => {
    switch (origin.kind) {
      case 'path':
        return openPath(origin.path);
      case 'url':
        return urlSource(origin.url);
      case 'staged':
        return stagedSource(store, origin.key, origin.slice);
    }
  };
}
