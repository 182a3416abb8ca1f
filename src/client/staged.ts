import { type Accepted, type Staging, staging } from '#answers';
import { fileChanged, type PartedContent } from './content.ts';
import { closedBy, ReelayError, stagingGone } from './error.ts';
import { json } from './json.ts';
import type { CallOptions } from './retry.ts';
import { bytesThere, sendParts } from './staged-parts.ts';
import type { Transport } from './transport.ts';

/** How long the bytes of an upload that failed may take to be given up, in milliseconds. */
const GIVE_UP_MS = 5_000;

/** How a large file goes on where it was, after its process ended too. */
export interface StagingOptions {
  /** What `onStaged` told of this very file: parts that are there are not sent again. Starts anew when it has ended. */
  readonly stagingId?: string | undefined;
  /**
   * Told before a byte is sent, with the bytes that are there already; waited for. Keep the id, with the
   * idempotency key, to go on after a failure; what nobody is told of is given up when the upload fails.
   */
  readonly onStaged?: ((stagingId: string, bytesThere: number) => void | Promise<void>) | undefined;
}

/** One file that goes by staging. */
export interface StagedUpload {
  readonly project: string;
  readonly filename: string;
  readonly checksum: string | undefined;
  readonly content: PartedContent;
  readonly onProgress: ((bytes: number) => void) | undefined;
  /** Sends the upload that names the staged bytes. */
  readonly use: (stagingId: string) => Promise<Accepted>;
}

/**
 * Puts a file into staging part by part, past the API where the store is S3, and has it uploaded from there. A staging
 * that has ended on the way (expired, given up) is begun once more.
 */
export async function uploadStaged(
  transport: Transport,
  upload: StagedUpload,
  options: StagingOptions & CallOptions,
): Promise<Accepted> {
  return sendOnce(transport, upload, options).catch((thrown: unknown) => {
    if (!isGone(thrown)) throw thrown;
    return sendOnce(transport, upload, { ...options, stagingId: undefined });
  });
}

async function sendOnce(
  transport: Transport,
  upload: StagedUpload,
  { stagingId, onStaged, ...options }: StagingOptions & CallOptions,
): Promise<Accepted> {
  const { content, filename, onProgress } = upload;
  const staged = stagingId === undefined ? await begin(transport, upload, options) : await look(stagingId, options);
  const path = pathOf(staged.stagingId);
  if (staged.size !== content.size) throw fileChanged(filename, staged.size);
  try {
    await onStaged?.(staged.stagingId, staged.state === 'open' ? bytesThere(staged) : staged.size);
    if (staged.state === 'open') {
      // Its tries are those of the part that asks.
      const lookOnce = (own: CallOptions) => look(staged.stagingId, { ...own, retryForMs: 0 });
      await sendParts({ transport, filename, content, options, onProgress, look: lookOnce }, staged);
      // Joining large bytes takes its time, so this has no limit of its own.
      await transport.retry(() => transport.send(`${path}/complete`, staging, { method: 'POST' }, options), options);
    } else onProgress?.(staged.size);
    return await upload.use(staged.stagingId);
  } catch (thrown) {
    const known = onStaged !== undefined || stagingId !== undefined;
    if (!known || isLost(thrown)) await giveUp(path);
    throw thrown;
  }

  async function look(id: string, own: CallOptions): Promise<Staging> {
    const view = await transport.read(pathOf(id), staging, {}, own);
    if (view.state === 'aborted' || view.state === 'expired') throw stagingGone(id, view.state);
    return view;
  }

  async function giveUp(path: string): Promise<void> {
    const own = { signal: AbortSignal.timeout(GIVE_UP_MS), retryForMs: 0 };
    // What stays is dropped by the API after a day.
    await transport.open(path, { method: 'DELETE' }, own).catch(() => {});
  }
}

function begin(transport: Transport, upload: StagedUpload, options: CallOptions): Promise<Staging> {
  const { project, checksum, content } = upload;
  return transport.read('/v1/staging', staging, json({ project, size: content.size, checksum, parts: true }), options);
}

const pathOf = (stagingId: string) => `/v1/staging/${encodeURIComponent(stagingId)}`;

/** The parts are of no use any more: the file is another one now, or the API will not take it as it is. */
function isLost(thrown: unknown): boolean {
  if (!(thrown instanceof ReelayError)) return false;
  const { code, status, retryable } = thrown;
  return code === 'FILE_CHANGED' || (status !== undefined && !retryable && closedBy(thrown) === undefined);
}

function isGone(thrown: unknown): boolean {
  return thrown instanceof ReelayError && (thrown.code === 'GONE' || thrown.code === 'NOT_FOUND');
}
