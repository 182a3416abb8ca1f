import type { Staging } from '#answers';
import { AppError } from '#errors';
import type { StagingRecord } from '#queues/staging.ts';
import type { DirectPart, SignedPut } from '#storage/direct-uploads.ts';
import type { ApiPorts } from './ports.ts';

type Ports = Pick<ApiPorts, 'store' | 'clock' | 'config'>;

/** Requests signed in one answer. */
const SIGNED = 1_000;

/** Shows a staging's record to its owner, with signed PUTs while it is open. */
export function createStagingView({ store, clock, config }: Ports): (record: StagingRecord) => Promise<Staging> {
  const absolute = (signed: SignedPut): SignedPut =>
    signed.url.startsWith('/') ? { ...signed, url: config.publicUrl + signed.url } : signed;

  return async ({ key: _key, openKey, uploadId, owner: _owner, createdAt: _createdAt, ...shown }) => {
    const { state, size, expiresAt } = shown;
    if (state !== 'open') return shown;
    const seconds = Math.max(1, Math.min(config.urls.expiresSeconds, Math.floor((expiresAt - clock()) / 1000)));
    const { direct } = store;
    if (uploadId === undefined) return { ...shown, put: absolute(await direct.signPut(openKey, size, seconds)) };
    const upload = { key: openKey, uploadId };
    const partSize = direct.partSize(size);
    const parts = await direct.parts(upload).catch(noParts);
    // Joined already, by a request that did not live to say so: to be completed again, with nothing to send.
    if (!parts) return { ...shown, partSize, missing: [] };
    const next = lacking(size, partSize, parts).slice(0, SIGNED);
    const missing = await Promise.all(
      next.map(async (part) => ({ ...part, ...absolute(await direct.signPart(upload, part, seconds)) })),
    );
    return { ...shown, partSize, parts, missing };
  };
}

/** The parts of `size` bytes that are not there, or there with another size; in order. */
export function lacking(size: number, partSize: number, parts: readonly DirectPart[]): DirectPart[] {
  const there = new Map(parts.map((part) => [part.number, part.size]));
  return Array.from({ length: Math.ceil(size / partSize) }, (_, index) => ({
    number: index + 1,
    size: Math.min(partSize, size - index * partSize),
  })).filter((part) => there.get(part.number) !== part.size);
}

function noParts(error: unknown): undefined {
  if (error instanceof AppError && error.code === 'NOT_FOUND') return undefined;
  throw error;
}
