import { ConvexHttpClient } from 'convex/browser';
import { api } from '#convex/_generated/api.js';
import type { AssetType } from '#domain';
import type { Credentials } from './stack.ts';

type Scene = { project: string; session: string; scene: string };

/** True when the current asset of the type is the one accepted last, as a member of the project sees it in Convex. */
export async function lastAcceptedIsCurrent(stack: Credentials, scene: Scene, assetType: AssetType): Promise<boolean> {
  const convex = new ConvexHttpClient(stack.convexUrl, { logger: false });
  convex.setAuth(stack.viewerToken);
  const paginationOpts = { numItems: 100, cursor: null };
  const { page } = await convex.query(api.assets.getAssetsByEntity, {
    ...scene,
    assetType,
    history: true,
    paginationOpts,
  });
  const [last] = page.toSorted((a, b) => b.acceptedSeq - a.acceptedSeq);
  return last?.current === true;
}
