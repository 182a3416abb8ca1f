import type { Config } from '#config';
import type { FileOrigin } from '#queues/catalog.ts';
import { createPathOpener, createUrlPolicy } from '#storage/source.ts';
import type { OriginInput } from './schemas.ts';

/** A file's bytes when they came with the request, else where a worker finds them; `size` when it is known. */
export type Located = ({ readonly bytes: Buffer } | { readonly origin: FileOrigin }) & {
  readonly size?: number | undefined;
};

/** Locates an origin, of a file of `size` bytes as announced. */
export type OriginLocator = (input: OriginInput, size: number | undefined) => Promise<Located>;

/**
 * Judges an origin at the door, so that a mistake is answered and not queued. The worker judges again: a file
 * may change, and a host name may lead anywhere.
 * The locator throws `PATH_NOT_ALLOWED`, `ORIGIN_NOT_FOUND`, `ORIGIN_UNREADABLE`, `URL_NOT_ALLOWED` or `TOO_LARGE`.
 */
export function originLocator({ uploadRoots, urlOrigins }: Pick<Config, 'uploadRoots' | 'urlOrigins'>): OriginLocator {
  const openPath = createPathOpener(uploadRoots);
  const policy = createUrlPolicy(urlOrigins);

  return async (input, announced) => {
    switch (input.kind) {
      case 'inline': {
        const bytes = input.text === undefined ? Buffer.from(input.base64 ?? '', 'base64') : Buffer.from(input.text);
        return { bytes, size: bytes.length };
      }
      case 'path': {
        const { handle, size } = await openPath(input.path);
        await handle.close();
        return { origin: input, size };
      }
      case 'url':
        policy.parse(input.url);
        if (announced !== undefined) policy.assertFits(announced);
        return { origin: input };
    }
  };
}
