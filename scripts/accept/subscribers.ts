import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from '#client/node.ts';
import { followScene } from '#test/follow-scene.ts';
import { startStack } from '#test/stack.ts';
import { type Chapter, equal } from './figures.ts';

const SCENE = { project: 'demo', session: 'watched', scene: 'watched' };

/** Subscribers with the unmodified Convex client while 2 GiB are uploaded. */
export const subscribers: Chapter = {
  name: 'subscribers',
  command: 'ConvexClient.onUpdate(scenes.watch) during an upload of 2 GiB',
  async run() {
    const stack = await startStack();
    try {
      const client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
      const watchers = await Promise.all([followScene(stack, SCENE), followScene(stack, SCENE)]);
      const path = join(stack.dataDir, 'film.mp4');
      await writeFile(path, '');
      await truncate(path, 2 * 1024 ** 3);
      await client.uploadFile({ ...SCENE, assetType: 'video_chunk', filename: 'film.mp4', path });
      const shown = await Promise.all(watchers.map((watcher) => watcher.untilReady()));
      return shown.flatMap((states, index) => {
        const statuses = [...new Set(states.map(({ status }) => status))].join(' → ');
        const progress = states.map((state) => state.progress);
        const rising = progress.every((value, at) => value >= (progress[at - 1] ?? 0));
        return [
          {
            what: `subscriber ${index + 1}: statuses`,
            figure: statuses,
            goal: '… uploading → ready',
            met: statuses.endsWith('uploading → ready'),
          },
          equal(`subscriber ${index + 1}: ${progress.length} states, never backwards`, String(rising), 'true'),
        ];
      });
    } finally {
      await stack.remove();
    }
  },
};
