/** Runs a command, or answers undefined when Redis is away, slow, or resting after it was. */
export type Patience = <Answer>(doing: string, run: () => Promise<Answer>) => Promise<Answer | undefined>;

/** Redis gets this long to answer, and this long a rest when it did not. */
const TIMEOUT_MS = 300;
const REST_MS = 1_000;

/** The cache's patience with Redis: it may make answers faster, so it must never make them slow. */
export function createPatience(clock: () => number, onError: (error: unknown, doing: string) => void): Patience {
  let restUntil = 0;
  return async (doing, run) => {
    if (clock() < restUntil) return undefined;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error(`Redis did not answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    try {
      return await Promise.race([run(), late]);
    } catch (error) {
      restUntil = clock() + REST_MS;
      onError(error, doing);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  };
}
