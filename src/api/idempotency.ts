import { setTimeout as pause } from 'node:timers/promises';
import type { Request, Response } from 'express';
import stringify from 'safe-stable-stringify';
import { type Accepted, accepted } from '#answers';
import { AppError } from '#errors';
import type { Claim, Idempotency, RequestName } from '#queues/idempotency.ts';
import { newBatchId } from '#queues/ids.ts';
import type { Producer } from '#queues/producer.ts';
import { callerOf } from './auth.ts';
import { sha256 } from './checksum.ts';
import { logOf } from './correlation.ts';
import { invalid } from './field-error.ts';

/** An upload about to be taken in. */
export interface AskedUpload {
  /** Its `Idempotency-Key`, if it has one. */
  readonly key: string | undefined;
  /** What makes it the same request as another: the parsed body, and of a form's files what they hold. */
  readonly body: unknown;
  /** Takes back what was done for it: it came to nothing, or another has done it. */
  readonly undo: (batchId: string | undefined) => Promise<void>;
}

type Ours = Extract<Claim, { state: 'ours' }>;

/** Milliseconds between looks at a request that another one is at, at first and at last; how long it is waited for. */
const LOOK = { first: 25, last: 250 };
const PATIENCE_MS = 30_000;
/** A claim is renewed this often while its work goes on, well before it would be taken over. */
const RENEW_MS = 3_000;

/** The `Idempotency-Key` of a request. Throws `VALIDATION_FAILED` for one that is none. */
export function idempotencyKeyOf(req: Request): string | undefined {
  const key = req.get('idempotency-key');
  if (key === undefined || /^[!-~]{1,255}$/.test(key)) return key;
  throw invalid([{ path: 'Idempotency-Key', message: 'Must have 1 to 255 visible ASCII characters.' }]);
}

/**
 * Runs `work` once for all requests of one key: the others get its answer as `duplicate`. One that fails is undone,
 * unless jobs may need what it did. Throws `IDEMPOTENCY_MISMATCH` for another body, `IDEMPOTENCY_BUSY` when the first
 * request takes too long, and what `work` throws.
 */
export async function once(
  { idempotency }: Pick<Producer, 'idempotency'>,
  res: Response,
  { key, body, undo }: AskedUpload,
  work: (batchId: string) => Promise<Accepted>,
): Promise<Accepted> {
  const log = logOf(res);
  if (key === undefined) {
    const batchId = newBatchId();
    return work(batchId).catch(async (error: unknown) => {
      if (!mayRun(error)) await undo(batchId);
      throw error;
    });
  }
  const name = { keyId: callerOf(res).id, key };
  const found = await claimed(idempotency, name, sha256(Buffer.from(stringify(body) ?? '')), res).catch(
    async (error) => {
      await undo(undefined);
      throw error;
    },
  );
  if ('answer' in found) {
    await undo(undefined);
    return { ...accepted.parse(JSON.parse(found.answer)), outcome: 'duplicate' };
  }
  const renewing = setInterval(() => {
    idempotency.renew(name, found.token).catch((err: unknown) => log.warn({ err }, 'A claim was not renewed'));
  }, RENEW_MS);
  try {
    const answer = await work(found.batchId);
    // The batch is accepted already: should this fail, the next such request finds the same batch by its ids.
    await idempotency
      .accept(name, found.token, JSON.stringify(answer))
      .catch((err: unknown) => log.warn({ err }, 'The answer of a request was not kept'));
    return answer;
  } catch (error) {
    if (await isOursAlone(idempotency, name, found, error).catch(() => false)) await undo(found.batchId);
    throw error;
  } finally {
    clearInterval(renewing);
  }
}

/** True for a failure after which jobs of the request may run all the same. */
function mayRun(error: unknown): boolean {
  return error instanceof AppError && error.details.mayRun === true;
}

/** Gives a claim back. True when nobody else works under it, nor did before us, so that what was done is ours alone. */
async function isOursAlone(requests: Idempotency, name: RequestName, claim: Ours, error: unknown): Promise<boolean> {
  if (!mayRun(error) && !claim.takenOver) return requests.release(name, claim.token);
  await requests.leave(name, claim.token);
  return false;
}

/** The claim, or the answer of the request that has it, waited for while that one is at work. */
async function claimed(
  requests: Idempotency,
  name: RequestName,
  body: string,
  res: Response,
): Promise<Ours | Extract<Claim, { state: 'accepted' }>> {
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  const end = performance.now() + PATIENCE_MS;
  for (let wait = LOOK.first; performance.now() < end && !gone.signal.aborted; wait = Math.min(2 * wait, LOOK.last)) {
    const claim = await requests.claim(name, body);
    if (claim.state === 'mismatch') {
      throw new AppError('IDEMPOTENCY_MISMATCH', 'This Idempotency-Key came with another request before.');
    }
    if (claim.state !== 'busy') return claim;
    await pause(wait, undefined, { signal: gone.signal }).catch(() => undefined);
  }
  throw new AppError('IDEMPOTENCY_BUSY', 'A request with this Idempotency-Key is still under way.');
}
