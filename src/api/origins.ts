import type { Config } from '#config';
import { AppError } from '#errors';
import type { FileOrigin } from '#queues/catalog.ts';
import type { StagingRecords } from '#queues/staging.ts';
import { createPathOpener, createUrlPolicy } from '#storage/source.ts';
import type { OriginInput } from './schemas.ts';
import { requireState } from './staging.ts';

/** A file's bytes when they came with the request, else where a worker finds them; `size` when it is known. */
export type Located = ({ readonly bytes: Buffer } | { readonly origin: FileOrigin }) & {
  readonly size?: number | undefined;
  /** SHA-256 announced with the bytes themselves. */
  readonly checksum?: string | undefined;
};

/** Locates an origin of a file of `project`, of `size` bytes as announced. */
export type OriginLocator = (input: OriginInput, project: string, size: number | undefined) => Promise<Located>;

/**
 * Judges an origin at the door, so that a mistake is answered and not queued. The worker judges again: a file
 * may change, and a host name may lead anywhere.
 * The locator throws `PATH_NOT_ALLOWED`, `ORIGIN_NOT_FOUND`, `ORIGIN_UNREADABLE`, `URL_NOT_ALLOWED`, `TOO_LARGE`,
 * or `STAGING_INCOMPLETE` and `GONE` for staged bytes.
 */
export function originLocator(
  { uploadRoots, urlOrigins }: Pick<Config, 'uploadRoots' | 'urlOrigins'>,
  staging: Pick<StagingRecords, 'get'>,
): OriginLocator {
  const openPath = createPathOpener(uploadRoots);
  const policy = createUrlPolicy(urlOrigins);

  return async (input, project, announced) => {
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
      case 'staged': {
        const record = await staging.get(input.stagingId);
        // Another project's is no more to be told of than none.
        if (record?.project !== project)
          throw new AppError('ORIGIN_NOT_FOUND', `Nothing is staged as ${input.stagingId}.`);
        requireState(record, record.state, 'complete', 'used');
        const { key, size, checksum } = record;
        return { origin: { kind: 'staged', key }, size, checksum };
      }
    }
  };
}
