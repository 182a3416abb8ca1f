import { ConvexClient } from 'convex/browser';
import { api } from '#convex/_generated/api.js';
import type { EntityRef } from '#domain';
import type { Credentials } from './stack.ts';
import { until } from './until.ts';

/** What a subscriber was shown of a scene's only asset, in order, repeats left out. */
export interface Shown {
  readonly status: string;
  readonly progress: number;
}

export interface SceneFollower {
  /** What it was shown so far. */
  readonly shown: readonly Shown[];
  /** Resolves once the asset was shown `ready`; ends the subscription. */
  untilReady(): Promise<Shown[]>;
}

/** Follows a scene with the unmodified Convex client, as the viewer of `demo`. Resolves when the subscription answers. */
export async function followScene(stack: Credentials, scene: Required<EntityRef>): Promise<SceneFollower> {
  const client = new ConvexClient(stack.convexUrl, { logger: false });
  client.setAuth(async () => stack.viewerToken);
  const shown: Shown[] = [];
  let answered = false;
  client.onUpdate(api.scenes.watch, { ...scene, scene: scene.scene ?? '' }, (view) => {
    answered = true;
    const asset = view?.assets[0];
    const last = shown.at(-1);
    if (asset && (asset.status !== last?.status || asset.progress !== last.progress))
      shown.push({ status: asset.status, progress: asset.progress });
  });
  await until(() => answered, { within: 10_000, what: 'the subscription to answer' });
  return {
    shown,
    async untilReady() {
      await until(() => shown.at(-1)?.status === 'ready', { within: 30_000, what: 'the subscriber to see ready' });
      await client.close();
      return shown;
    },
  };
}
