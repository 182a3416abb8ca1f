import { LRUCache } from 'lru-cache';
import { AppError } from '#errors';
import type { ApiKey, Metadata } from '#metadata/metadata.ts';
import { within } from './within.ts';

/** A key as Convex last told it; `askAt` is when it is asked again. */
interface Known {
  readonly key: ApiKey | undefined;
  readonly toldAt: number;
  readonly askAt: number;
}

const FRESH_MS = 30_000;
/** A key that does not exist is not asked for again at once. */
const UNKNOWN_MS = 2_000;
/** With Convex away a known key goes on this long; Convex is asked after each rest, and waited for this long. */
const KNOWN_MS = 3_600_000;
const REST_MS = 5_000;
const PATIENCE_MS = 2_000;
const REMEMBERED = 10_000;

/** Finds keys by id: remembered for 30 s, and while Convex is away for an hour. Throws `METADATA_UNAVAILABLE`. */
export function createKnownKeys(
  metadata: Pick<Metadata, 'findApiKey'>,
  clock: () => number,
): (keyId: string) => Promise<ApiKey | undefined> {
  const known = new LRUCache<string, Known>({ max: REMEMBERED });
  const asking = new Map<string, Promise<ApiKey | undefined>>();

  async function ask(keyId: string): Promise<ApiKey | undefined> {
    const key = await metadata.findApiKey(keyId);
    known.set(keyId, { key, toldAt: clock(), askAt: clock() + (key ? FRESH_MS : UNKNOWN_MS) });
    return key;
  }

  function askOnce(keyId: string): Promise<ApiKey | undefined> {
    const underWay = asking.get(keyId);
    if (underWay) return underWay;
    const answer = ask(keyId).finally(() => asking.delete(keyId));
    asking.set(keyId, answer);
    return answer;
  }

  return async (keyId) => {
    const last = known.get(keyId);
    if (last && clock() < last.askAt) return last.key;
    if (!last?.key || clock() - last.toldAt >= KNOWN_MS) return askOnce(keyId);
    try {
      return await within(PATIENCE_MS, askOnce(keyId));
    } catch (thrown) {
      if (thrown instanceof AppError && !thrown.unavailable) throw thrown;
      known.set(keyId, { ...last, askAt: clock() + REST_MS });
      return last.key;
    }
  };
}
