import { readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ConvexClient, ConvexHttpClient } from 'convex/browser';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { mutation, query, startEngine, temporaryFolder } from '#local/convex/testing/engines.ts';

const ISSUER = 'https://tokens.example';
let signingKey: CryptoKey;
let jwks: string;

beforeAll(async () => {
  const pair = await generateKeyPair('ES256', { extractable: true });
  signingKey = pair.privateKey;
  jwks = JSON.stringify({ keys: [{ ...(await exportJWK(pair.publicKey)), alg: 'ES256', kid: 'one' }] });
});

const asDataUri = () => `data:application/json;base64,${Buffer.from(jwks).toString('base64')}`;

function token(claims: JWTPayload = {}, options: { issuer?: string; expires?: number; key?: CryptoKey } = {}) {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ aud: 'fixture', ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: 'one' })
    .setSubject('somebody')
    .setIssuer(options.issuer ?? ISSUER)
    .setIssuedAt(now - 60)
    .setExpirationTime(now + (options.expires ?? 600))
    .sign(options.key ?? signingKey);
}

const start = (jwksUri = asDataUri()) => startEngine({ env: { FIXTURE_ISSUER: ISSUER, FIXTURE_JWKS: jwksUri } });

test('a signed token is the identity that functions see', async () => {
  const engine = await start();
  const client = new ConvexHttpClient(engine.url);
  expect(await client.query(query('notes/whoami:claims'), {})).toBeNull();
  client.setAuth(await token({ given_name: 'Ada', role: 'service' }));
  expect(await client.query(query('notes/whoami:claims'), {})).toEqual({
    tokenIdentifier: `${ISSUER}|somebody`,
    issuer: ISSUER,
    subject: 'somebody',
    givenName: 'Ada',
    role: 'service',
  });
});

test('bad tokens are answered with 401', async () => {
  const engine = await start();
  const { privateKey } = await generateKeyPair('ES256');
  const bad = {
    expired: await token({}, { expires: -30 }),
    'of another issuer': await token({}, { issuer: 'https://other.example' }),
    'for another application': await token({ aud: 'other' }),
    'signed by another key': await token({}, { key: privateKey }),
    'not a token': 'nonsense',
  };
  for (const [what, credentials] of Object.entries(bad)) {
    const answer = await fetch(`${engine.url}/api/query`, {
      method: 'POST',
      headers: { authorization: `Bearer ${credentials}` },
      body: JSON.stringify({ path: 'notes/whoami:claims', args: {} }),
    });
    expect(answer.status, what).toBe(401);
    expect(await answer.json(), what).toEqual({ code: expect.any(String), message: expect.any(String) });
  }
});

test('keys are fetched when the configuration names a URL', async () => {
  const server = createServer((_request, response) => response.end(jwks)).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const engine = await start(`http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`);
  const client = new ConvexHttpClient(engine.url, { auth: await token() });
  expect(await client.query(query('notes/whoami:claims'), {})).toMatchObject({ subject: 'somebody' });
});

test('a configuration without its variables is refused with a sentence', async () => {
  await expect(start('')).rejects.toThrow('auth.config.ts: `jwks` is "", which is no URL; is a variable unset?');
});

test('over the websocket a token authenticates live queries, and a bad one is reported', async () => {
  const engine = await start();
  const client = new ConvexClient(engine.url, { logger: false });
  onTestFinished(() => client.close());
  const subjects: unknown[] = [];
  const seen = Promise.withResolvers<void>();
  client.onUpdate(query('notes/whoami:claims'), {}, (claims: { subject: string } | null) => {
    subjects.push(claims?.subject);
    if (claims) seen.resolve();
  });
  const good = await token();
  const accepted = new Promise((resolve) => client.setAuth(async () => good, resolve));
  expect(await accepted).toBe(true);
  await seen.promise;
  expect(subjects.at(-1)).toBe('somebody');

  const refused = new ConvexClient(engine.url, { logger: false });
  onTestFinished(() => refused.close());
  const expired = await token({}, { expires: -30 });
  const verdict = new Promise((resolve) => refused.setAuth(async () => expired, resolve));
  expect(await verdict).toBe(false);
});

test('the admin key is kept for its owner alone, survives a restart, and opens internal functions', async () => {
  const data = await temporaryFolder();
  const first = await startEngine({ data });
  const file = join(data, 'admin.key');
  const key = (await readFile(file, 'utf8')).trim();
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await first.stop();
  const { url } = await startEngine({ data });
  expect((await readFile(file, 'utf8')).trim()).toBe(key);

  const call = (authorization: string, path: string) =>
    fetch(`${url}/api/function`, {
      method: 'POST',
      headers: { authorization },
      body: JSON.stringify({ path, args: { channel: 'none' } }),
    });
  expect(await (await call(`Convex ${key}`, 'messages:purge')).json()).toMatchObject({ status: 'success', value: 0 });
  expect((await call(`Convex ${key}x`, 'messages:purge')).status).toBe(401);
  expect((await call('Basic abc', 'messages:purge')).status).toBe(401);
});

test('an admin acts as somebody; the key may come from the environment, which functions do not see', async () => {
  const { url } = await startEngine({ env: { CONVEX_ADMIN_KEY: 'given|key' } });
  const acting = Buffer.from(JSON.stringify({ issuer: ISSUER, subject: 'a person' })).toString('base64');
  const answer = await fetch(`${url}/api/query`, {
    method: 'POST',
    headers: { authorization: `Convex given|key:${acting}` },
    body: JSON.stringify({ path: 'notes/whoami:claims', args: {} }),
  });
  expect(await answer.json()).toMatchObject({ value: { subject: 'a person', tokenIdentifier: `${ISSUER}|a person` } });
  const client = new ConvexHttpClient(url);
  expect(await client.query(query('notes/whoami:adminKey'), {})).toBeNull();
  await expect(client.mutation(mutation('messages:purge'), { channel: 'x' })).rejects.toThrow('public function');
});

test('an HTTP action sees who a token names', async () => {
  const { siteUrl } = await start();
  const headers = { authorization: `Bearer ${await token()}` };
  expect(await (await fetch(`${siteUrl}/whoami`, { headers })).json()).toMatchObject({ subject: 'somebody' });
});
