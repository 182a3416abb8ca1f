import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, LookupFunction } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { isPublicAddress } from './public-address.ts';
import { urlSource } from './url-source.ts';

const servers: Server[] = [];
const content = Buffer.from('0123456789');
const fails = (code: string) => expect.objectContaining({ code });
const here = { isAllowedAddress: (address: string) => address === '127.0.0.1' };

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

const read = async (url: string, offset = 0) => buffer(await urlSource(url, here).open(offset));

describe('url origins', () => {
  test('are read whole, and from an offset with or without the help of ranges', async () => {
    const plain = await serve((_, response) => response.end(content));
    const ranged = await serve(({ headers }, response) => {
      const start = Number(/bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
      if (headers.range) response.writeHead(206, { 'content-range': `bytes ${start}-9/10` });
      response.end(content.subarray(start));
    });
    for (const url of [plain, ranged]) {
      expect(await read(url)).toEqual(content);
      expect(await read(url, 7)).toEqual(content.subarray(7));
    }
  });

  test('come as they were sent, packed or not', async () => {
    const packed = gzipSync(content);
    const url = await serve(({ headers }, response) => {
      expect(headers['accept-encoding']).toBe('identity');
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed);
    });
    expect(await read(url)).toEqual(packed);
  });

  test('are followed through five redirects, not six', async () => {
    const url = await serve((request, response) => {
      const left = Number(request.url?.slice(1));
      if (left === 0) response.end(content);
      else response.writeHead(302, { location: `/${left - 1}` }).end();
    });
    expect(await read(`${url}/5`)).toEqual(content);
    await expect(read(`${url}/6`)).rejects.toEqual(fails('ORIGIN_UNREADABLE'));
  });

  test.each([
    'http://169.254.169.254/latest/meta-data/',
    'http://[::ffff:7f00:1]/',
    'http://[::1]/',
    'http://localhost/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://10.0.0.1/',
    'file:///etc/passwd',
    'ftp://example.com/x',
    'http://user:password@example.com/',
    'nothing',
  ])('%s is refused', async (url) => {
    await expect(urlSource(url).open(0)).rejects.toEqual(fails('URL_NOT_ALLOWED'));
  });

  test('a redirect to where one may not go is refused', async () => {
    for (const location of ['http://127.0.0.2/', 'http://localhost.:1/', 'file:///etc/passwd']) {
      const url = await serve((_, response) => response.writeHead(307, { location }).end());
      const onlyOne = { ...here, lookup: answering('10.0.0.1') };
      await expect(urlSource(url, onlyOne).open(0)).rejects.toEqual(fails('URL_NOT_ALLOWED'));
    }
  });

  test('a name is connected to at the address that was judged, and refused when one of its addresses is not allowed', async () => {
    const url = await serve((_, response) => response.end(content));
    const named = url.replace('127.0.0.1', 'files.example');
    const stream = await urlSource(named, { ...here, lookup: answering('127.0.0.1') }).open(0);
    expect(await buffer(stream)).toEqual(content);
    const mixed = urlSource(named, { ...here, lookup: answering('127.0.0.1', '192.168.0.1') });
    await expect(mixed.open(0)).rejects.toEqual(fails('URL_NOT_ALLOWED'));
  });

  test.each([
    [404, 'ORIGIN_NOT_FOUND'],
    [403, 'ORIGIN_NOT_FOUND'],
    [429, 'ORIGIN_UNREADABLE'],
    [500, 'ORIGIN_UNREADABLE'],
  ])('status %i is %s', async (status, code) => {
    const url = await serve((_, response) => response.writeHead(status).end('no'));
    await expect(read(url)).rejects.toEqual(fails(code));
  });

  test('a body that breaks off is an error, not an end', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('x', () => response.destroy());
    });
    await expect(read(url)).rejects.toThrow();
  });

  test('a server that never answers is left when the caller leaves', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const url = await serve(() => abort.abort(reason));
    await expect(urlSource(url, here).open(0, abort.signal)).rejects.toBe(reason);
  });
});

function answering(...addresses: string[]): LookupFunction {
  return (_, options, callback) => {
    if (options.all)
      callback(
        null,
        addresses.map((address) => ({ address, family: 4 })),
      );
    else callback(null, addresses[0] ?? '', 4);
  };
}

describe('isPublicAddress', () => {
  test.each(['8.8.8.8', '2001:4860:4860::8888', '::ffff:8.8.8.8'])('%s is', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test.each(
    [
      '0.0.0.0',
      '10.1.1.1',
      '100.64.0.1',
      '127.0.0.1',
      '169.254.169.254',
      '172.16.0.1',
      '192.0.0.8',
      '192.0.2.1',
    ].concat(
      ['192.168.0.1', '198.18.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255', '::', '::1', '::7f00:1', 'fe80::1'],
      ['::ffff:127.0.0.1', '::ffff:a9fe:a9fe', '64:ff9b::7f00:1', '2002:7f00:1::', '2001::1', '2001:db8::1', 'fc00::1'],
      ['fec0::1', 'ff02::1', 'fd00:ec2::254', '100::1', 'localhost', ''],
    ),
  )('%j is not', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
});
