import type { StagingRecord, StagingState } from '#queues/staging.ts';
import type { DirectPart, SignedPut } from '#storage/direct-uploads.ts';
import type { ApiPorts } from './ports.ts';

/** Staged bytes as their owner sees them: what is there, and while they are open the requests that send the rest. */
export interface StagingView {
  readonly stagingId: string;
  readonly project: string;
  readonly state: StagingState;
  /** Bytes announced. */
  readonly size: number;
  readonly checksum?: string | undefined;
  readonly expiresAt: number;
  /** The batch that uses them. */
  readonly batchId?: string | undefined;
  /** One PUT of all bytes. */
  readonly put?: SignedPut | undefined;
  /** Bytes of every part but the last. */
  readonly partSize?: number | undefined;
  /** The parts so far. */
  readonly parts?: readonly DirectPart[] | undefined;
  /** PUTs of the next parts that are missing, 1,000 at the most: ask again once they are sent. */
  readonly missing?: readonly (DirectPart & SignedPut)[] | undefined;
}

type Ports = Pick<ApiPorts, 'store' | 'clock' | 'config'>;

/** Requests signed in one answer. */
const SIGNED = 1_000;

export function createStagingView({ store, clock, config }: Ports): (record: StagingRecord) => Promise<StagingView> {
  const absolute = (signed: SignedPut): SignedPut =>
    signed.url.startsWith('/') ? { ...signed, url: config.publicUrl + signed.url } : signed;

  return async ({ key, uploadId, owner: _owner, createdAt: _createdAt, ...shown }) => {
    const { state, size, expiresAt } = shown;
    if (state !== 'open') return shown;
    const seconds = Math.max(1, Math.min(config.urls.expiresSeconds, Math.floor((expiresAt - clock()) / 1000)));
    const { direct } = store;
    if (uploadId === undefined) return { ...shown, put: absolute(await direct.signPut(key, size, seconds)) };
    const upload = { key, uploadId };
    const partSize = direct.partSize(size);
    const parts = await direct.parts(upload);
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
