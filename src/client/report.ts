import type { Batch } from '#answers';
import { factsOf, type PlainFacts } from './error.ts';
import type { Known } from './resume.ts';
import type { Sent } from './send.ts';

/** What became of one file. `accepted` goes on without us; `not sent` met an API that takes nothing more. */
export interface FileReport {
  readonly name: string;
  readonly path: string;
  readonly size: number;
  readonly status: 'ready' | 'error' | 'accepted' | 'not sent';
  /** The API had it from an earlier run. */
  readonly already?: true;
  readonly assetId?: string | undefined;
  readonly batchId?: string | undefined;
  readonly error?: PlainFacts | undefined;
}

/** Joins what was sent, now and earlier, with how its batches ended; a batch not in `ended` goes on. */
export function reportOf(
  sent: readonly Sent[],
  known: readonly Known[],
  ended: ReadonlyMap<string, Batch>,
): FileReport[] {
  const failures = new Map([...ended.values()].flatMap(({ failed }) => failed.map((one) => [one.assetId, one.error])));
  const endOf = (batchId: string, assetId: string) => {
    const error = failures.get(assetId);
    if (error) return { status: 'error', error } as const;
    return { status: ended.get(batchId)?.state === 'done' ? 'ready' : 'accepted' } as const;
  };
  const earlier = known.map(({ file: { name, path, size }, assetId, batchId, ready }): FileReport => {
    const end = ready ? ({ status: 'ready' } as const) : endOf(batchId, assetId);
    return { name, path, size, ...end, already: true, assetId, batchId };
  });
  const now = sent.flatMap((one) =>
    one.request.files.map(({ name, path, size }, index): FileReport => {
      if ('error' in one) return { name, path, size, status: 'error', error: factsOf(one.error) };
      if (!('accepted' in one)) return { name, path, size, status: 'not sent' };
      const { batchId, assetIds, before } = one.accepted;
      const assetId = assetIds[index] ?? '';
      return { name, path, size, ...endOf(batchId, assetId), ...(before && { already: true }), assetId, batchId };
    }),
  );
  return [...earlier, ...now];
}
