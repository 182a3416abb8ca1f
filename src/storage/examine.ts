import { statfs } from 'node:fs/promises';
import type { StoreConfig } from '#config';
import { openStore } from './open.ts';
import { examineS3, type S3Examination } from './s3-examine.ts';

/** What a store is, as it shows itself when it is tried. */
export type StoreExamination =
  | S3Examination
  | { readonly kind: 'disk'; readonly dir: string; readonly freeBytes: number };

/**
 * Tries the store that the configuration names, and leaves nothing there. `origin` is what a browser would come from. Throws
 * as `Store.check` does when the store is of no use.
 */
export async function examineStore(config: StoreConfig, origin: string): Promise<StoreExamination> {
  if (config.kind === 's3') return examineS3(config, origin);
  const store = openStore(config, { urlSecret: Buffer.alloc(32), clock: Date.now });
  await store.check();
  const { bavail, bsize } = await statfs(config.dir);
  return { kind: 'disk', dir: config.dir, freeBytes: bavail * bsize };
}
