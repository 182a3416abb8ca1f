import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { generateSigningKey, loadSigningKey, verifyViewerToken } from '#metadata/service-token.ts';
import { prepareCredentials, prepareSigningKey } from './credentials.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'reelay-credentials-'));
});

afterEach(() => rm(dataDir, { recursive: true, force: true }));

it('makes the signing key once, readable by its owner alone', async () => {
  const config = { dataDir, signingKey: join(dataDir, 'signing-key.pem') };
  const key = await prepareSigningKey(config);
  expect((await stat(config.signingKey)).mode & 0o777).toBe(0o600);
  expect((await prepareSigningKey(config)).keyId).toBe(key.keyId);
});

it('takes a signing key that is given, and makes none where it does not rule', async () => {
  const pem = generateSigningKey();
  expect((await prepareSigningKey({ dataDir, signingKey: pem })).keyId).toBe((await loadSigningKey(pem)).keyId);
  const elsewhere = `${dataDir}-of-another/key.pem`;
  await expect(prepareSigningKey({ dataDir, signingKey: elsewhere })).rejects.toThrow(/REELAY_SIGNING_KEY .*ENOENT/);
});

it('keeps secrets, and follows settings that changed', async () => {
  const key = await loadSigningKey(generateSigningKey());
  const first = await prepareCredentials(config(), key, Date.now());
  const second = await prepareCredentials(config({ publicUrl: 'http://127.0.0.1:4000' }), key, Date.now());
  expect(second).toEqual({ ...first, apiUrl: 'http://127.0.0.1:4000' });
  expect(first.agentKey).not.toBe(first.adminKey);
  const given = await prepareCredentials(config({ admin: { user: 'root', password: 'of my own' } }), key, Date.now());
  expect(given).toMatchObject({ adminUser: 'root', adminPassword: 'of my own' });
});

it('makes the viewer a new token near its expiry, and when the signing key is another', async () => {
  const key = await loadSigningKey(generateSigningKey());
  const { viewerToken } = await prepareCredentials(config(), key, Date.now());
  expect(await verifyViewerToken(key, viewerToken)).toEqual({ subject: 'demo-viewer' });
  const inAMonth = await prepareCredentials(config(), key, Date.now() + 24 * DAY_MS);
  expect(inAMonth.viewerToken).not.toBe(viewerToken);

  const another = await loadSigningKey(generateSigningKey());
  const replaced = await prepareCredentials(config(), another, Date.now());
  expect(await verifyViewerToken(another, replaced.viewerToken)).toEqual({ subject: 'demo-viewer' });
});

it('leaves a file it cannot read alone, and says so', async () => {
  const key = await loadSigningKey(generateSigningKey());
  await writeFile(join(dataDir, 'credentials.json'), '{ "agentKey": ');
  await expect(prepareCredentials(config(), key, Date.now())).rejects.toThrow(
    /credentials\.json is not JSON\. Correct it/,
  );
  expect(await readFile(join(dataDir, 'credentials.json'), 'utf8')).toBe('{ "agentKey": ');
});

function config(changed: Partial<Parameters<typeof prepareCredentials>[0]> = {}) {
  return {
    dataDir,
    publicUrl: 'http://127.0.0.1:3000',
    convexUrl: 'http://127.0.0.1:3210',
    admin: { user: 'admin', password: undefined },
    ...changed,
  };
}
