import type { LookupFunction } from 'node:net';
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
  whole,
} from '#test/raw-origin.ts';

const fails = (code: string) => expect.objectContaining({ code });

/** Sends `first`, and then `more` again and again until the reader leaves. */
const endless =
  (first: string, more: string): Talk =>
  (socket) => {
    socket.write(first);
    const timer = setInterval(() => socket.write(more), 2);
    socket.on('close', () => clearInterval(timer));
  };

/** What a server may answer, and what is said of it. */
const ANSWERS: [what: string, talk: Talk, code: string, options?: Reading][] = [
  ['no bytes at all', '', 'ORIGIN_UNREADABLE'],
  ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n', 'ORIGIN_UNREADABLE'],
  [
    'a change of protocol',
    answer('101 Switching Protocols', ['Upgrade: x', 'Connection: upgrade']),
    'ORIGIN_UNREADABLE',
  ],
  [
    'too many bytes of headers',
    ok(Array.from({ length: 40 }, (_, i) => `X-${i}: ${'x'.repeat(500)}`)),
    'ORIGIN_UNREADABLE',
  ],
  ['a header that does not end', endless('HTTP/1.1 200 OK\r\nX: ', 'x'.repeat(64)), 'ORIGIN_UNREADABLE'],
  ['status 204', answer('204 No Content'), 'ORIGIN_NOT_FOUND'],
  [
    'a part nobody asked for',
    answer('206 Partial Content', ['Content-Range: bytes 0-3/10'], '0123'),
    'ORIGIN_UNREADABLE',
  ],
  ['status 400', answer('400 Bad Request'), 'ORIGIN_NOT_FOUND'],
  ['status 401', answer('401 Unauthorized'), 'ORIGIN_NOT_FOUND'],
  ['status 403', answer('403 Forbidden'), 'ORIGIN_NOT_FOUND'],
  ['status 404', answer('404 Not Found'), 'ORIGIN_NOT_FOUND'],
  ['status 410', answer('410 Gone'), 'ORIGIN_NOT_FOUND'],
  ['status 429', answer('429 Too Many Requests'), 'ORIGIN_UNREADABLE'],
  ['status 500', answer('500 Internal Server Error'), 'ORIGIN_UNREADABLE'],
  ['status 503', answer('503 Service Unavailable'), 'ORIGIN_UNREADABLE'],
  ['gzip', ok(['Content-Encoding: gzip', 'Content-Length: 10']), 'ORIGIN_UNREADABLE'],
  ['gzip in capitals', ok(['Content-Encoding: GZIP', 'Content-Length: 10']), 'ORIGIN_UNREADABLE'],
  ['two encodings', ok(['Content-Encoding: identity, br', 'Content-Length: 10']), 'ORIGIN_UNREADABLE'],
  ['gzip on the way', ok(['Transfer-Encoding: gzip, chunked'], 'a\r\n0123456789\r\n0\r\n\r\n'), 'ORIGIN_UNREADABLE'],
  ['no length, so that a cut would not show', ok([]), 'ORIGIN_UNREADABLE'],
  ['two lengths', ok(['Content-Length: 10', 'Content-Length: 11']), 'ORIGIN_UNREADABLE'],
  ['a length and chunks', ok(['Content-Length: 10', 'Transfer-Encoding: chunked'], '0\r\n\r\n'), 'ORIGIN_UNREADABLE'],
  ['a length below zero', ok(['Content-Length: -1']), 'ORIGIN_UNREADABLE'],
  ['fewer bytes than its length', ok(['Content-Length: 11']), 'ORIGIN_UNREADABLE'],
  ['more bytes than its length', ok(['Content-Length: 9']), 'ORIGIN_UNREADABLE'],
  ['chunks without an end', ok(['Transfer-Encoding: chunked'], '3\r\nabc\r\n'), 'ORIGIN_UNREADABLE'],
  ['a length above the announced size', whole, 'SIZE_MISMATCH', { size: 9 }],
  ['a length below the announced size', whole, 'SIZE_MISMATCH', { size: 11 }],
  ['more chunks than the announced size', chunked('01234', '56789'), 'SIZE_MISMATCH', { size: 9 }],
  ['fewer chunks than the announced size', chunked('01234', '56789'), 'SIZE_MISMATCH', { size: 11 }],
  ['a length above the limit', whole, 'TOO_LARGE', { env: { URL_ORIGIN_MAX_BYTES: '9' } }],
  [
    'chunks above the limit',
    endless(ok(['Transfer-Encoding: chunked'], ''), '4\r\nabcd\r\n'),
    'TOO_LARGE',
    { env: { URL_ORIGIN_MAX_BYTES: '9' } },
  ],
  ['nothing, and stays', () => undefined, 'ORIGIN_UNREADABLE', { waits: { answer: 50 } }],
  ['headers drop by drop', endless('HTTP/1.1 200 OK\r\n', 'a: b\r\n'), 'ORIGIN_UNREADABLE', { waits: { answer: 50 } }],
  [
    'hints without end',
    endless('', 'HTTP/1.1 103 Early Hints\r\n\r\n'),
    'ORIGIN_UNREADABLE',
    { waits: { answer: 50 } },
  ],
  [
    'headers, then nothing, and stays',
    (socket) => socket.write(ok(['Content-Length: 99'], 'abc')),
    'ORIGIN_UNREADABLE',
    { waits: { idle: 50 } },
  ],
  [
    'a drip below the least rate',
    endless(ok(['Content-Length: 99999'], ''), 'x'),
    'ORIGIN_UNREADABLE',
    { waits: { window: 50 }, env: { URL_ORIGIN_MIN_BYTES_PER_SECOND: '1000000' } },
  ],
  [
    'for longer than the limit',
    endless(ok(['Content-Length: 99999999'], ''), 'x'),
    'ORIGIN_UNREADABLE',
    { env: { URL_ORIGIN_MAX_SECONDS: '1' } },
  ],
];

/** Where a server may send its reader on to. */
const REDIRECTS: [what: string, location: string, code: string][] = [
  ['itself, for ever', '/clip.mp4', 'ORIGIN_UNREADABLE'],
  ['loopback', 'http://127.0.0.2/', 'URL_NOT_ALLOWED'],
  ['loopback as a number', 'http://2130706434/', 'URL_NOT_ALLOWED'],
  ['loopback by another name', 'http://localhost.:22/', 'URL_NOT_ALLOWED'],
  ['a metadata service', 'http://169.254.169.254/latest/meta-data/', 'URL_NOT_ALLOWED'],
  ['a metadata service without a scheme', '//169.254.169.254/', 'URL_NOT_ALLOWED'],
  ['a private address of IPv6', 'http://[fd00::1]/', 'URL_NOT_ALLOWED'],
  ['a file', 'file:///etc/passwd', 'URL_NOT_ALLOWED'],
  ['another port', 'http://127.0.0.1:6379/', 'URL_NOT_ALLOWED'],
  ['a URL with a password', 'http://user:password@127.0.0.1/', 'URL_NOT_ALLOWED'],
  ['no URL', 'http://[::1%25lo]/', 'URL_NOT_ALLOWED'],
];

describe('a url origin is refused', () => {
  test.each(ANSWERS)('that answers %s: %$', async (_what, talk, code, options) => {
    await expect(read(talk, options)).rejects.toEqual(fails(code));
  });

  test.each(REDIRECTS)('that redirects to %s: %s is %s', async (_what, location, code) => {
    await expect(read(redirect(location))).rejects.toEqual(fails(code));
  });

  test('whose name leads elsewhere the second time: each connection is judged by what it connects to', async () => {
    const asked: string[] = [];
    const lookup = rebinding(asked, ['127.0.0.1', '127.0.0.2']);
    const host = 'files.example';
    expect(await read(whole, { host, lookup })).toBe(CONTENT);
    expect(asked).toEqual([host]);
    await expect(read(whole, { host, lookup })).rejects.toEqual(fails('URL_NOT_ALLOWED'));

    const back = rebinding([], ['127.0.0.1', '127.0.0.2']);
    await expect(read(redirect('/again'), { host, lookup: back })).rejects.toEqual(fails('URL_NOT_ALLOWED'));
  });

  test('in words that show host and path, never a query that may hold credentials', async () => {
    const path = '/clip.mp4?X-Amz-Signature=s3cr3t';
    for (const talk of [answer('403 Forbidden'), answer('500 Oops'), '', redirect('http://10.0.0.1/?s3cr3t'), whole]) {
      const { server, source } = await sourceOf(talk, { path, size: 3 });
      const error = await source.open(0).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ message: expect.not.stringContaining('s3cr3t') });
      expect(JSON.stringify(error)).not.toContain('s3cr3t');
      if (talk === '') expect(error).toMatchObject({ details: { url: `http://127.0.0.1:${server.port}/clip.mp4` } });
    }
  });
});

function rebinding(asked: string[], addresses: readonly string[]): LookupFunction {
  return (hostname, { all }, callback) => {
    const address = addresses[Math.min(asked.length, addresses.length - 1)] ?? '';
    asked.push(hostname);
    if (all) callback(null, [{ address, family: 4 }]);
    else callback(null, address, 4);
  };
}
