// @vitest-environment jsdom
import { ConvexHttpClient } from 'convex/browser';
import { ConvexProvider, ConvexReactClient, useMutation, usePaginatedQuery, useQuery } from 'convex/react';
import type { ComponentType } from 'react';
import { createRoot } from 'react-dom/client';
import { expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { mutation, query, sharedEngine } from '#local/convex/testing/engines.ts';

const engine = sharedEngine();

function render(Component: ComponentType) {
  // Node's own WebSocket does not take the events of jsdom.
  const webSocketConstructor = WebSocket as unknown as typeof globalThis.WebSocket;
  const client = new ConvexReactClient(engine.url, { logger: false, webSocketConstructor });
  const page = document.body.appendChild(document.createElement('div'));
  const root = createRoot(page);
  onTestFinished(async () => {
    root.unmount();
    await client.close();
  });
  root.render(
    <ConvexProvider client={client}>
      <Component />
    </ConvexProvider>,
  );
  const click = () => page.querySelector('button')?.click();
  const shows = (text: string) =>
    vi.waitFor(() => expect(page.querySelector('p')?.textContent).toBe(text), { timeout: 10_000 });
  return { click, shows };
}

function Counter() {
  const count = useQuery(query('counters:watch'), { name: 'react' });
  const increase = useMutation(mutation('counters:increase'));
  return (
    <div>
      <p>{`${count}`}</p>
      <button type="button" onClick={() => void increase({ name: 'react' })}>
        more
      </button>
    </div>
  );
}

test('a component shows a live query and its own mutation', async () => {
  const { click, shows } = render(Counter);
  await shows('0');
  click();
  await shows('1');
});

const page = query('messages:page') as Parameters<typeof usePaginatedQuery>[0];

function Pages() {
  const { results, loadMore } = usePaginatedQuery(page, { channel: 'react' }, { initialNumItems: 2 });
  return (
    <div>
      <p>{results.map(({ body }: { body: string }) => body).join('')}</p>
      <button type="button" onClick={() => loadMore(2)}>
        more
      </button>
    </div>
  );
}

test('a component pages through a list that grows, without gaps or repeats', async () => {
  const http = new ConvexHttpClient(engine.url);
  const send = (body: string) => http.mutation(mutation('messages:send'), { channel: 'react', body });
  const first = await send('a');
  for (const body of ['b', 'c', 'd', 'e']) await send(body);
  const { click, shows } = render(Pages);
  await shows('ab');
  click();
  await shows('abcd');
  click();
  await shows('abcde');
  await send('f');
  await shows('abcdef');
  // A page that lost a message does not take one from the next.
  await http.mutation(mutation('messages:remove'), { id: first });
  await shows('bcdef');
});
