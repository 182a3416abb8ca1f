import { AppError } from '#errors';

type Judged<Answer> = { readonly answer: Answer } | { readonly rejected: AppError };

/** What may be the fault of one item: a refusal, or a function that crashed, of which production says no more than that. */
const ONE_MAY_BE_AT_FAULT: ReadonlySet<string> = new Set(['METADATA_REJECTED', 'METADATA_FAILED']);
/** Tries of an item that fails by itself for reasons nobody knows, where nobody tries it again later. */
const TRIES_ALONE = 3;

/**
 * Sends all items in one call; when that is refused or fails as a whole (`METADATA_REJECTED`, `METADATA_FAILED`), sends
 * each half by itself, until the culprits stand alone. Gives a verdict for each item, in order. Any other error is thrown.
 */
export async function judgeByHalving<Item, Answer>(
  items: readonly Item[],
  call: (items: readonly Item[]) => Promise<readonly Answer[]>,
): Promise<Judged<Answer>[]> {
  try {
    const answers = await call(items);
    if (answers.length !== items.length) throw new Error(`Convex answered ${answers.length} of ${items.length} items.`);
    return answers.map((answer) => ({ answer }));
  } catch (thrown) {
    if (!(thrown instanceof AppError) || !ONE_MAY_BE_AT_FAULT.has(thrown.code)) throw thrown;
    if (items.length <= 1) return items.map(() => ({ rejected: thrown }));
    const middle = Math.ceil(items.length / 2);
    const first = await judgeByHalving(items.slice(0, middle), call);
    return [...first, ...(await judgeByHalving(items.slice(middle), call))];
  }
}

/**
 * Sends all items in one call; those that Convex refuses while it takes others are told to `onRefused`. When it takes
 * none, the fault is not with the items: throws the refusal, so that they wait for functions that take them.
 */
export async function sendAllButCulprits<Item>(
  items: readonly Item[],
  send: (items: readonly Item[]) => Promise<void>,
  onRefused: (item: Item, refusal: AppError) => void,
): Promise<void> {
  const verdicts = await judgeByHalving(items, async (some) => {
    await sendPatiently(some, send);
    return some;
  });
  const refused = items.flatMap((item, at) => {
    const verdict = verdicts[at];
    return verdict && 'rejected' in verdict ? [{ item, refusal: verdict.rejected }] : [];
  });
  if (refused[0] && refused.length === items.length) throw refused[0].refusal;
  for (const { item, refusal } of refused) onRefused(item, refusal);
}

async function sendPatiently<Item>(some: readonly Item[], send: (items: readonly Item[]) => Promise<void>) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await send(some);
    } catch (thrown) {
      const isUnknown = thrown instanceof AppError && thrown.code === 'METADATA_FAILED';
      if (!isUnknown || some.length > 1 || tries === TRIES_ALONE) throw thrown;
    }
  }
}
