// @vitest-environment jsdom
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createClient } from '#client/node.ts';
import { type DrippingOrigin, startDrippingOrigin } from '#test/dripping-origin.ts';
import { openScenePage } from '#test/scene-page.ts';
import { type Stack, startStack } from '#test/stack.ts';
import { until } from '#test/until.ts';

const SCENE = { project: 'demo', session: 'page', scene: 'page' };
let stack: Stack;
let origin: DrippingOrigin;

beforeAll(async () => {
  origin = await startDrippingOrigin();
  stack = await startStack(origin.env);
});
afterAll(async () => {
  await stack.remove();
  await origin.close();
});

it('two pages with the React client see uploading, rising progress, ready, never backwards', async () => {
  const pages = [openScenePage(stack, SCENE), openScenePage(stack, SCENE)];
  await until(() => pages.every(({ texts }) => texts.includes('nothing yet')), {
    within: 10_000,
    what: 'both pages to load',
  });
  const client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
  const file = { assetType: 'video_chunk', filename: 'film.mp4', ...origin.film } as const;
  await client.uploadFiles({ ...SCENE, files: [file] });
  const progresses = (texts: readonly string[]) => new Set(texts.filter((text) => /^uploading 0\.\d+/.test(text))).size;
  await until(() => pages.every(({ texts }) => progresses(texts) >= 3), {
    within: 20_000,
    what: 'both pages to show it get on',
  });
  origin.pour();
  await until(() => pages.every((page) => page.text() === 'ready 1'), {
    within: 30_000,
    what: 'both pages to show ready',
  });
  for (const { texts } of pages) {
    const shown = texts.filter((text) => /^(pending|uploading|ready) /.test(text));
    const progress = shown.map((text) => Number(text.split(' ')[1]));
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  }
  await Promise.all(pages.map((page) => page.close()));
});
