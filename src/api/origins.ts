import { isIP } from 'node:net';
import { AppError } from '#errors';
import type { FileOrigin } from '#queues/catalog.ts';
import { isPublicAddress } from '#storage/public-address.ts';
import type { PathOpener } from '#storage/source.ts';
import type { OriginInput } from './schemas.ts';

/** A file's bytes when they came with the request, else where a worker finds them; `size` when it is known. */
export type Located = ({ readonly bytes: Buffer } | { readonly origin: FileOrigin }) & {
  readonly size?: number | undefined;
};

/**
 * Judges an origin at the door, so that a mistake is answered and not queued. The worker judges again: a file
 * may change, and a host name may lead anywhere.
 * Throws `PATH_NOT_ALLOWED`, `ORIGIN_NOT_FOUND` or `URL_NOT_ALLOWED`.
 */
export async function locate(input: OriginInput, openPath: PathOpener): Promise<Located> {
  if (input.kind === 'inline') {
    const bytes = input.text === undefined ? Buffer.from(input.base64 ?? '', 'base64') : Buffer.from(input.text);
    return { bytes, size: bytes.length };
  }
  if (input.kind === 'path') {
    const { handle, size } = await openPath(input.path);
    await handle.close();
    return { origin: input, size };
  }
  refuseLocal(new URL(input.url));
  return { origin: input };
}

function refuseLocal(url: URL): void {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (/(^|\.)localhost\.?$/.test(host) || (isIP(host) !== 0 && !isPublicAddress(host))) {
    throw new AppError('URL_NOT_ALLOWED', `${url.host} is not a public address.`);
  }
  if (url.username || url.password) throw new AppError('URL_NOT_ALLOWED', 'The URL carries a user or password.');
}
