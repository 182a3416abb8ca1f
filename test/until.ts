import { setTimeout as pause } from 'node:timers/promises';

/**
 * Resolves with the first truthy answer of `condition`, asked again and again. An error of a network that
 * is not there yet counts as "not yet". Throws after `within` milliseconds, saying what did not happen.
 */
export async function until<T>(
  condition: () => Promise<T | false | undefined> | T | false | undefined,
  { within, what, every = 20 }: { within: number; what: string; every?: number },
): Promise<T> {
  const end = Date.now() + within;
  let last: unknown;
  while (Date.now() < end) {
    try {
      const answer = await condition();
      if (answer) return answer;
    } catch (error) {
      if (!(error instanceof TypeError && error.message === 'fetch failed')) throw error;
      last = error;
    }
    await pause(every);
  }
  throw new Error(`Waited ${within} ms in vain for ${what}.`, { cause: last });
}
