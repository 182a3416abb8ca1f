import { execFile } from 'node:child_process';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import {
  answer,
  CONTENT,
  chunked,
  ok,
  type Reading,
  read,
  redirect,
  sourceOf,
  type Talk,
  textOf,
  whole,
} from '#test/raw-origin.ts';
import { serveRaw } from '#test/raw-server.ts';
import { until } from '#test/until.ts';

const fails = (code: string) => expect.objectContaining({ code });
const run = promisify(execFile);
const startOf = (request: string) => Number(/^range: bytes=(\d+)-/im.exec(request)?.[1] ?? 0);

describe('a url origin is read', () => {
  test.each<[what: string, talk: Talk, options?: Reading]>([
    ['of a known length', whole],
    ['in chunks', chunked('01234', '56789')],
    ['until the server closes, when its size was announced', ok([]), { size: 10 }],
    ['after early hints', `HTTP/1.1 103 Early Hints\r\n\r\n${whole}`],
  ])('%s', async (_what, talk, options) => {
    expect(await read(talk, options)).toBe(CONTENT);
  });

  test('from an offset, with and without the help of ranges', async () => {
    const rest = answer('206 Partial Content', ['Content-Range: bytes 7-9/10', 'Content-Length: 3'], '789');
    expect(await read(rest, {}, 7)).toBe('789');
    expect(await read(whole, {}, 7)).toBe('789');
  });

  test('through five redirects', async () => {
    const talk: Talk = (socket, request) => {
      const left = Number(/^GET \/(\d+)/.exec(request)?.[1]);
      socket.end(left === 0 ? whole : redirect(`/${left - 1}`));
    };
    expect(await read(talk, { path: '/5' })).toBe(CONTENT);
    await expect(read(talk, { path: '/6' })).rejects.toEqual(fails('ORIGIN_UNREADABLE'));
  });

  test('as it is: nothing packed is asked for, and no credentials are sent', async () => {
    let asked = '';
    const talk: Talk = (socket, request) => {
      asked = request;
      socket.end(whole);
    };
    await read(talk, { path: '/a?token=1' });
    expect(asked).toMatch(/^GET \/a\?token=1 HTTP/);
    expect(asked).toMatch(/^accept-encoding: identity\r$/im);
    expect(asked).not.toMatch(/^(authorization|cookie|referer):/im);
  });
});

test('a proxy in the environment is not asked: it would resolve names by itself', async () => {
  const [origin, proxy] = await Promise.all([serveRaw(whole), serveRaw(ok(['Content-Length: 5'], 'proxy'))]);
  const script = `
    const { readConfig } = await import('#config');
    const { createUrlPolicy, urlSource } = await import('#storage/source.ts');
    const source = urlSource('http://127.0.0.1:${origin.port}/', createUrlPolicy(readConfig(process.env).urlOrigins));
    process.stdout.write(String(await (await source.open(0)).toArray()));`;
  const address = `http://127.0.0.1:${proxy.port}`;
  const env = {
    ...{ NODE_USE_ENV_PROXY: '1', HTTP_PROXY: address, http_proxy: address, ALL_PROXY: address, NO_PROXY: '' },
    ...{ URL_ORIGIN_PORTS: String(origin.port), URL_ORIGIN_ALLOW_CIDRS: '127.0.0.1/32' },
  };
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], { cwd, env });
  expect(stdout).toBe(CONTENT);
  expect(proxy.connections()).toBe(0);
  await Promise.all([origin.close(), proxy.close()]);
});

/** A server that breaks off after four bytes, and what it answers when asked for the rest. */
const date = 'Date: Sat, 21 Nov 2026 02:00:00 GMT';
const cut = (...headers: string[]) => ok([date, 'Content-Length: 10', ...headers], '0123');
const rest = (...headers: string[]) =>
  answer('206 Partial Content', [date, 'Content-Range: bytes 4-9/10', 'Content-Length: 6', ...headers], '456789');
const other = (...headers: string[]) => ok([date, 'Content-Length: 10', ...headers], 'abcdefghij');
const modified = 'Last-Modified: Fri, 20 Nov 2026 02:00:00 GMT';
const RESUMES: [what: string, first: string, then: string, outcome: string][] = [
  ['the rest of the same version', cut('ETag: "1"'), rest('ETag: "1"'), CONTENT],
  ['the rest, by its date', cut(modified), rest(), CONTENT],
  ['the whole of the same version', cut('ETag: "1"'), ok(['Content-Length: 10', 'ETag: "1"']), CONTENT],
  ['another version, whole', cut('ETag: "1"'), other('ETag: "2"'), 'ORIGIN_UNREADABLE'],
  [
    'another version, whole, by its date',
    cut(modified),
    other('Last-Modified: Sat, 21 Nov 2026 01:00:00 GMT'),
    'ORIGIN_UNREADABLE',
  ],
  ['a whole file that does not say which', cut('ETag: "1"'), other(), 'ORIGIN_UNREADABLE'],
  ['the rest of another version', cut('ETag: "1"'), rest('ETag: "2"'), 'ORIGIN_UNREADABLE'],
  [
    'the rest of a longer file',
    cut('ETag: "1"'),
    rest('ETag: "1"').replace('4-9/10', '4-10/11').replace(': 6', ': 7'),
    'ORIGIN_UNREADABLE',
  ],
  ['another part', cut('ETag: "1"'), rest('ETag: "1"').replace('4-9/10', '3-8/10'), 'ORIGIN_UNREADABLE'],
  ['less than the rest', cut('ETag: "1"'), rest('ETag: "1"').replace('4-9/10', '4-8/10'), 'ORIGIN_UNREADABLE'],
  ['that it is gone', cut('ETag: "1"'), answer('404 Not Found'), 'ORIGIN_NOT_FOUND'],
  ['(nobody asks: a weak ETag proves nothing)', cut('ETag: W/"1"'), rest('ETag: W/"1"'), 'ORIGIN_UNREADABLE'],
  [
    '(nobody asks: a date of this very second proves nothing)',
    cut(date.replace('Date', 'Last-Modified')),
    rest(),
    'ORIGIN_UNREADABLE',
  ],
  ['(nobody asks: nothing tells versions apart)', cut(), rest(), 'ORIGIN_UNREADABLE'],
];

describe('a url origin that breaks off', () => {
  test.each(RESUMES)('and then gives %s: %$', async (_what, first, then, outcome) => {
    const reading = read((socket, request) => socket.end(startOf(request) === 0 ? first : then));
    if (outcome === CONTENT) expect(await reading).toBe(CONTENT);
    else await expect(reading).rejects.toEqual(fails(outcome));
  });

  test('is asked with If-Range, five times in a row at most', async () => {
    const asked: string[] = [];
    const reading = read((socket, request) => {
      asked.push(request);
      const start = startOf(request);
      const range = [`Content-Range: bytes ${start}-9/10`, 'ETag: "1"', `Content-Length: ${10 - start}`];
      socket.end(
        start === 0 ? cut('ETag: "1"').replace('0123', '0') : answer('206 Partial Content', range, CONTENT[start]),
      );
    });
    await expect(reading).rejects.toEqual(fails('ORIGIN_UNREADABLE'));
    expect(asked.map((request) => /^if-range: (.*)\r$/im.exec(request)?.[1])).toEqual([
      undefined,
      ...Array(5).fill('"1"'),
    ]);
    expect(asked.map(startOf)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('and has changed is read anew from its start by the next open', async () => {
    let version = 1;
    const { source } = await sourceOf((socket, request) => {
      const etag = `ETag: "${version}"`;
      socket.end(startOf(request) === 0 && version === 1 ? cut(etag) : other(etag));
      version = 2;
    });
    await expect(source.open(0).then(buffer)).rejects.toEqual(fails('ORIGIN_UNREADABLE'));
    await expect(source.open(4)).rejects.toEqual(fails('ORIGIN_UNREADABLE'));
    expect(await textOf(await source.open(0))).toBe('abcdefghij');
    expect(await textOf(await source.open(4))).toBe('efghij');
  });
});

describe('a url origin is left', () => {
  test('when the caller leaves before there is an answer', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const { source } = await sourceOf(() => abort.abort(reason));
    await expect(source.open(0, abort.signal)).rejects.toBe(reason);
  });

  test('when the stream is destroyed while it waits for bytes', async () => {
    let isOpen = true;
    const { source } = await sourceOf((socket) => {
      socket.write(ok(['Content-Length: 99'], 'abc'));
      socket.on('close', () => {
        isOpen = false;
      });
    });
    const stream = await source.open(0);
    await stream[Symbol.asyncIterator]().next();
    stream.destroy();
    await until(() => !isOpen, { within: 10_000, what: 'the connection to be closed' });
  });
});
