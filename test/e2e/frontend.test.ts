// @vitest-environment jsdom
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createClient } from '#client/node.ts';
import { openScenePage } from '#test/scene-page.ts';
import { type Stack, startStack } from '#test/stack.ts';
import { until } from '#test/until.ts';

const SCENE = { project: 'demo', session: 'page', scene: 'page' };
let stack: Stack;

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.remove());

it('two pages with the React client see uploading, rising progress, ready, never backwards', async () => {
  const pages = [openScenePage(stack, SCENE), openScenePage(stack, SCENE)];
  await until(() => pages.every(({ texts }) => texts.includes('nothing yet')), {
    within: 10_000,
    what: 'both pages to load',
  });
  const path = join(stack.dataDir, 'film.mp4');
  await writeFile(path, Buffer.alloc(400 * 1024 * 1024, 7));
  const client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
  await client.uploadFile({ ...SCENE, assetType: 'video_chunk', filename: 'film.mp4', path });
  await until(() => pages.every((page) => page.text() === 'ready 1'), {
    within: 30_000,
    what: 'both pages to show ready',
  });
  for (const { texts } of pages) {
    const shown = texts.filter((text) => /^(pending|uploading|ready) /.test(text));
    expect(shown.some((text) => /^uploading 0\.\d+/.test(text))).toBe(true);
    const progress = shown.map((text) => Number(text.split(' ')[1]));
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  }
  await Promise.all(pages.map((page) => page.close()));
});
