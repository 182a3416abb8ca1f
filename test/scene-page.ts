import { ConvexProvider, ConvexReactClient, useQuery } from 'convex/react';
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';
import { WebSocket } from 'ws';
import { api } from '#convex/_generated/api.js';
import type { Credentials } from './stack.ts';

export interface ScenePage {
  /** The texts the page has shown, in order: `status progress`, repeats left out. */
  readonly texts: readonly string[];
  /** What stands on the page now. */
  text(): string | null;
  close(): Promise<void>;
}

type Scene = { project: string; session: string; scene: string };

/** What a frontend would write, in a DOM: a page that shows a scene's asset live, by a React client of its own, unmodified. */
export function openScenePage(
  { convexUrl, viewerToken }: Pick<Credentials, 'convexUrl' | 'viewerToken'>,
  scene: Scene,
): ScenePage {
  const main = document.body.appendChild(document.createElement('main'));
  // Node's own WebSocket does not take the events of jsdom.
  const webSocketConstructor = WebSocket as unknown as typeof globalThis.WebSocket;
  const client = new ConvexReactClient(convexUrl, { logger: false, webSocketConstructor });
  client.setAuth(async () => viewerToken);
  const texts: string[] = [];
  const onText = (text: string) => {
    if (texts.at(-1) !== text) texts.push(text);
  };
  const root = createRoot(main);
  root.render(createElement(ConvexProvider, { client }, createElement(SceneStatus, { scene, onText })));
  return {
    texts,
    text: () => main.textContent,
    async close() {
      root.unmount();
      await client.close();
      main.remove();
    },
  };
}

function SceneStatus({ scene, onText }: { scene: Scene; onText: (text: string) => void }) {
  const view = useQuery(api.scenes.watch, scene);
  const asset = view?.assets[0];
  const text = asset ? `${asset.status} ${asset.progress}` : view === undefined ? 'loading' : 'nothing yet';
  onText(text);
  return createElement('p', null, text);
}
