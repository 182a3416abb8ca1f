import type { StoreConfig } from '#config';
import { createDiskStore } from './disk.ts';
import { createS3Store } from './s3.ts';
import type { Store } from './store.ts';

/** The store that the configuration names. `urlSecret` signs the disk store's URLs; `clock` is milliseconds since the epoch. */
export function openStore(config: StoreConfig, options: { urlSecret: Buffer; clock: () => number }): Store {
  if (config.kind === 'disk') return createDiskStore({ dir: config.dir, ...options });
  return createS3Store(config, options);
}
