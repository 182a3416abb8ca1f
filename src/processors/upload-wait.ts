import type { Outcome } from './run.ts';
import type { UploadParts } from './upload.ts';
import { waitWhileAway } from './waits.ts';

/**
 * A pack that is stored and waits for Convex goes on waiting while its breaker is open: that costs two commands, where
 * trying and being refused costs a dozen, for each of thousands of packs every few seconds. Undefined for any other.
 */
export async function waitOn({ ports, pack, state }: UploadParts, toStore: boolean): Promise<Outcome | undefined> {
  const { refusal } = ports.metadataBreaker;
  // One whose files have come to their ends waits to be tidied up, and its error is theirs.
  const isOpen = pack.files.some(({ assetId }) => state.endOf(assetId) === undefined);
  if (!refusal || !isOpen || toStore || pack.commit !== 'each' || state.awaySince === undefined) return undefined;
  const inMs = waitWhileAway(ports.now() - state.awaySince, ports.random());
  // Whoever has waited for a day is told the usual way.
  if (inMs === undefined) return undefined;
  await state.writeTrouble(refusal, { retryAt: ports.now() + inMs, awaySince: state.awaySince, tries: [] });
  return { end: 'later', inMs };
}
