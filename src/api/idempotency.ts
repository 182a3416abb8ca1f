import { setTimeout as pause } from 'node:timers/promises';
import type { Request, Response } from 'express';
import stringify from 'safe-stable-stringify';
import type { Accepted } from '#answers';
import { AppError } from '#errors';
import type { Claim, Idempotency, RequestName } from '#queues/idempotency.ts';
import { newBatchId } from '#queues/ids.ts';
import { callerOf } from './auth.ts';
import { logOf } from './correlation.ts';
import { invalid } from './field-error.ts';
import { sha256 } from './intake.ts';
import type { ApiPorts } from './ports.ts';
import { dropStaged } from './staged.ts';

/** An upload about to be taken in. */
export interface AskedUpload {
  /** Its `Idempotency-Key`, if it has one. */
  readonly key: string | undefined;
  /** What makes it the same request as another: the parsed body, and of a form's files what they hold. */
  readonly body: unknown;
  /** Keys of what is staged for it; grows while `work` stages more. */
  readonly staged: string[];
}

type Ports = Pick<ApiPorts, 'producer' | 'store'>;
type Ours = Extract<Claim, { state: 'ours' }>;

/** Milliseconds between looks at a request that another one is at, at first and at last; how long it is waited for. */
const LOOK = { first: 25, last: 250 };
const PATIENCE_MS = 30_000;

/** The `Idempotency-Key` of a request. Throws `VALIDATION_FAILED` for one that is none. */
export function idempotencyKeyOf(req: Request): string | undefined {
  const key = req.get('idempotency-key');
  if (key === undefined || /^[!-~]{1,255}$/.test(key)) return key;
  throw invalid([{ path: 'Idempotency-Key', message: 'Must have 1 to 255 visible ASCII characters.' }]);
}

/**
 * Runs `work` once for all requests of one key: the others get its answer as `duplicate`. What a failed one staged is
 * deleted, unless jobs may need it. Throws `IDEMPOTENCY_MISMATCH` for another body, `IDEMPOTENCY_BUSY` when the first
 * request takes too long, and what `work` throws.
 */
export async function once(
  { producer, store }: Ports,
  res: Response,
  { key, body, staged }: AskedUpload,
  work: (batchId: string) => Promise<Accepted>,
): Promise<Accepted> {
  const log = logOf(res);
  const drop = (error?: unknown) => dropStaged(store, staged, error, log);
  const name = key === undefined ? undefined : { keyId: callerOf(res).id, key };
  let claim: Ours | undefined;
  try {
    if (name) {
      const found = await claimed(producer.idempotency, name, sha256(Buffer.from(stringify(body) ?? '')), res);
      if ('answer' in found) {
        await drop();
        return { ...(JSON.parse(found.answer) as Accepted), outcome: 'duplicate' };
      }
      claim = found;
    }
    const answer = await work(claim?.batchId ?? newBatchId());
    // The batch is accepted already: should this fail, the next such request finds the same batch by its ids.
    if (name && claim) await keep(producer.idempotency, name, claim, answer).catch((err: unknown) => log.warn({ err }));
    return answer;
  } catch (error) {
    const nobodyElse = !name || !claim || (await giveBack(producer.idempotency, name, claim, error).catch(() => false));
    if (nobodyElse) await drop(error);
    throw error;
  }
}

function keep(requests: Idempotency, name: RequestName, { token }: Ours, answer: Accepted): Promise<void> {
  return requests.accept(name, token, JSON.stringify(answer));
}

/** True when nobody else works under the claim, nor did before us, so that what we staged is ours alone. */
async function giveBack(requests: Idempotency, name: RequestName, claim: Ours, error: unknown): Promise<boolean> {
  const mayRun = error instanceof AppError && error.details.mayRun === true;
  if (!mayRun && !claim.takenOver) return requests.release(name, claim.token);
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
