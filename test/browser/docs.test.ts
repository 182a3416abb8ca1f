import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi, type TestApi } from '#test/api.ts';

let api: TestApi;
let browser: Browser;

beforeAll(async () => {
  [api, browser] = await Promise.all([
    startApi(),
    chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] }),
  ]);
});
afterAll(() => Promise.all([browser.close(), api.close()]));

test.each([
  ['a desk', { width: 1280, height: 900 }],
  ['a phone', { width: 390, height: 844 }],
])('on %s /docs shows each operation and sends it, asking nobody else', async (_where, viewport) => {
  const page = await browser.newPage({ viewport });
  const complaints: string[] = [];
  const elsewhere: string[] = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== api.url && protocol !== 'data:') elsewhere.push(request.url());
  });
  await page.goto(`${api.url}/docs`);
  const operation = page.locator('#operations-Service-live');
  await operation.locator('.opblock-summary-control').click();
  await operation.getByText('Try it out').click();
  await operation.getByText('Execute').click();
  await operation.locator('.live-responses-table').getByText('"live": true').first().waitFor();
  const upload = page.locator('#operations-Uploads-upload');
  await upload.locator('.opblock-summary-control').click();
  await upload.getByText('VALIDATION_FAILED').first().waitFor();
  // Nothing is wider than the screen.
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(viewport.width);
  expect({ complaints, elsewhere }).toEqual({ complaints: [], elsewhere: [] });
  await page.close();
});
