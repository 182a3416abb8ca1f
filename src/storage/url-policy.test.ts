import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readConfig } from '#config';
import { acceptConnections } from '#test/raw-server.ts';
import { createUrlPolicy } from './url-policy.ts';
import { urlSource } from './url-source.ts';

const policy = createUrlPolicy(readConfig({}).urlOrigins);
const fails = (code: string) => expect.objectContaining({ code });

/** Refused as it stands: by the API at its door, and by the worker before it connects. */
const SPELLINGS: [what: string, url: string, code: 'URL_NOT_ALLOWED'][] = [
  ['nothing', '', 'URL_NOT_ALLOWED'],
  ['no URL', 'nothing', 'URL_NOT_ALLOWED'],
  ['no scheme', '//example.com/x', 'URL_NOT_ALLOWED'],
  ['a file', 'file:///etc/passwd', 'URL_NOT_ALLOWED'],
  ['FTP', 'ftp://example.com/x', 'URL_NOT_ALLOWED'],
  ['Gopher', 'gopher://127.0.0.1:6379/_FLUSHALL', 'URL_NOT_ALLOWED'],
  ['bytes in the URL', 'data:text/plain,x', 'URL_NOT_ALLOWED'],
  ['a user', 'http://user@example.com/', 'URL_NOT_ALLOWED'],
  ['a password', 'http://:secret@example.com/', 'URL_NOT_ALLOWED'],
  ['a user that looks like a host', 'http://example.com@10.0.0.1/', 'URL_NOT_ALLOWED'],
  ['the port of SSH', 'http://example.com:22/', 'URL_NOT_ALLOWED'],
  ['the port of Redis', 'http://example.com:6379/', 'URL_NOT_ALLOWED'],
  ['port 0', 'http://example.com:0/', 'URL_NOT_ALLOWED'],
  ['port 65536', 'http://example.com:65536/', 'URL_NOT_ALLOWED'],
  ['loopback', 'http://127.0.0.1/', 'URL_NOT_ALLOWED'],
  ['loopback as a number', 'http://2130706433/', 'URL_NOT_ALLOWED'],
  ['loopback in octal', 'http://0177.0.0.1/', 'URL_NOT_ALLOWED'],
  ['loopback in hex', 'http://0x7f000001/', 'URL_NOT_ALLOWED'],
  ['loopback in hex and short', 'http://0x7f.1/', 'URL_NOT_ALLOWED'],
  ['loopback in short', 'http://127.1/', 'URL_NOT_ALLOWED'],
  ['loopback with a dot at the end', 'http://127.0.0.1./', 'URL_NOT_ALLOWED'],
  ['loopback percent-encoded', 'http://%31%32%37.0.0.1/', 'URL_NOT_ALLOWED'],
  ['loopback in wide digits', 'http://１２７.0.0.1/', 'URL_NOT_ALLOWED'],
  ['loopback with ideographic dots', 'http://127。0。0。1/', 'URL_NOT_ALLOWED'],
  ['loopback behind backslashes', 'http:\\\\127.0.0.1\\x', 'URL_NOT_ALLOWED'],
  ['loopback without slashes', 'http:127.0.0.1', 'URL_NOT_ALLOWED'],
  ['loopback before a fragment', 'http://127.0.0.1#@example.com/', 'URL_NOT_ALLOWED'],
  ['this network', 'http://0/', 'URL_NOT_ALLOWED'],
  ['loopback of IPv6', 'http://[::1]/', 'URL_NOT_ALLOWED'],
  ['loopback mapped', 'http://[::ffff:127.0.0.1]/', 'URL_NOT_ALLOWED'],
  ['loopback mapped, in full', 'http://[0:0:0:0:0:ffff:7f00:1]/', 'URL_NOT_ALLOWED'],
  ['loopback compatible', 'http://[::127.0.0.1]/', 'URL_NOT_ALLOWED'],
  ['a zone', 'http://[fe80::1%25eth0]/', 'URL_NOT_ALLOWED'],
  ['NAT64', 'http://[64:ff9b::7f00:1]/', 'URL_NOT_ALLOWED'],
  ['NAT64 of one network', 'http://[64:ff9b:1::7f00:1]/', 'URL_NOT_ALLOWED'],
  ['6to4', 'http://[2002:7f00:1::]/', 'URL_NOT_ALLOWED'],
  ['localhost', 'http://localhost/', 'URL_NOT_ALLOWED'],
  ['localhost in capitals', 'http://LOCALHOST/', 'URL_NOT_ALLOWED'],
  ['localhost with a dot at the end', 'http://localhost./', 'URL_NOT_ALLOWED'],
  ['a name under localhost', 'http://minio.localhost/', 'URL_NOT_ALLOWED'],
  ['localhost percent-encoded', 'http://%6c%6fcalhost/', 'URL_NOT_ALLOWED'],
  ['localhost in circles', 'http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/', 'URL_NOT_ALLOWED'],
  ['localhost in wide letters', 'http://ｌｏｃａｌｈｏｓｔ/', 'URL_NOT_ALLOWED'],
  ['localhost with a soft hyphen', 'http://local\u00adhost/', 'URL_NOT_ALLOWED'],
  ['localhost before a backslash', 'http://localhost\\@example.com/', 'URL_NOT_ALLOWED'],
  ['metadata of AWS', 'http://169.254.169.254/latest/meta-data/', 'URL_NOT_ALLOWED'],
  ['metadata of AWS as a number', 'http://2852039166/', 'URL_NOT_ALLOWED'],
  ['metadata of AWS mapped', 'http://[::ffff:a9fe:a9fe]/', 'URL_NOT_ALLOWED'],
  ['metadata of AWS on IPv6', 'http://[fd00:ec2::254]/', 'URL_NOT_ALLOWED'],
  ['metadata of Alibaba', 'http://100.100.100.200/', 'URL_NOT_ALLOWED'],
  ['metadata of Google by name', 'http://metadata.google.internal/computeMetadata/v1/', 'URL_NOT_ALLOWED'],
  ['the same with a dot at the end', 'http://METADATA.google.internal./', 'URL_NOT_ALLOWED'],
];

/** Refused for where the name leads: by the worker, when it connects. */
const NAMES: [what: string, url: string, leadsTo: readonly string[], code: 'URL_NOT_ALLOWED' | 'ORIGIN_NOT_FOUND'][] = [
  ['to loopback', 'http://files.example/', ['127.0.0.1'], 'URL_NOT_ALLOWED'],
  ['to loopback of IPv6', 'http://files.example/', ['::1'], 'URL_NOT_ALLOWED'],
  ['to loopback mapped', 'http://files.example/', ['::ffff:127.0.0.1'], 'URL_NOT_ALLOWED'],
  ['to loopback through NAT64', 'http://files.example/', ['64:ff9b::7f00:1'], 'URL_NOT_ALLOWED'],
  ['to a private address', 'https://files.example/', ['10.0.0.1'], 'URL_NOT_ALLOWED'],
  ['to a carrier address', 'http://files.example/', ['100.64.0.1'], 'URL_NOT_ALLOWED'],
  ['to a metadata service', 'http://files.example/', ['169.254.169.254'], 'URL_NOT_ALLOWED'],
  ['to a zone', 'http://files.example/', ['fe80::1%lo'], 'URL_NOT_ALLOWED'],
  ['to a public and then a private one', 'http://files.example/', ['93.184.215.14', '10.0.0.1'], 'URL_NOT_ALLOWED'],
  ['to a private and then a public one', 'http://files.example/', ['10.0.0.1', '93.184.215.14'], 'URL_NOT_ALLOWED'],
  ['from a homograph of localhost', 'http://lосalhost/', ['127.0.0.1'], 'URL_NOT_ALLOWED'],
  ['from a name that wraps an address', 'http://127.0.0.1.nip.io/', ['127.0.0.1'], 'URL_NOT_ALLOWED'],
  ['from a short name of the cluster', 'http://redis:8080/', ['10.96.0.1'], 'URL_NOT_ALLOWED'],
  ['nowhere', 'http://files.example/', [], 'ORIGIN_NOT_FOUND'],
];

describe('a URL that is refused', () => {
  test.each(SPELLINGS)('%s: %s is %s', async (_what, url, code) => {
    expect(() => policy.parse(url)).toThrow(fails(code));
    await expect(urlSource(url, policy).open(0)).rejects.toEqual(fails(code));
  });

  test.each(NAMES)('a name that leads %s: %s → %j is %s', async (_what, url, addresses, code) => {
    expect(() => policy.parse(url)).not.toThrow();
    await expect(urlSource(url, policy, { lookup: answering(addresses) }).open(0)).rejects.toEqual(fails(code));
  });

  test('an IPv4 address that is not public, in whatever parts and radix it is spelled', () => {
    const byte = fc.nat(255);
    const octets = fc.oneof(
      fc.tuple(fc.constantFrom(0, 10, 127, 255), byte, byte, byte),
      fc.tuple(fc.constant(100), fc.integer({ min: 64, max: 127 }), byte, byte),
      fc.tuple(fc.constant(172), fc.integer({ min: 16, max: 31 }), byte, byte),
      fc.tuple(fc.constant(192), fc.constant(168), byte, byte),
      fc.tuple(fc.constant(169), fc.constant(254), byte, byte),
    );
    const radixes = fc.array(fc.constantFrom(8, 10, 16), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(octets, radixes, fc.constantFrom('', '.'), (address, spelled, dot) => {
        expect(() => policy.parse(`http://${spell(address, spelled)}${dot}/`)).toThrow(fails('URL_NOT_ALLOWED'));
        expect(() => policy.parse(`http://[::ffff:${address.join('.')}]/`)).toThrow(fails('URL_NOT_ALLOWED'));
      }),
    );
    expect(policy.parse(`http://${spell([8, 8, 4, 4], [16, 8])}/`).hostname).toBe('8.8.4.4');
  });

  test('is never connected to', async () => {
    const victim = await acceptConnections();
    const own = createUrlPolicy(readConfig({ URL_ORIGIN_PORTS: String(victim.port) }).urlOrigins);
    const lookup = answering(['127.0.0.1']);
    for (const host of ['127.0.0.1', '127.1', '[::ffff:127.0.0.1]', 'localhost', 'files.example']) {
      await expect(urlSource(`http://${host}:${victim.port}/`, own, { lookup }).open(0)).rejects.toEqual(
        fails('URL_NOT_ALLOWED'),
      );
    }
    expect(victim.connections()).toBe(0);
    await victim.close();
  });
});

test.each([
  'http://example.com/a.mp4',
  'https://EXAMPLE.com:8443/?X-Signature=1',
  'http://8.8.8.8:8080/',
  'https://müller.example/',
])('%s is not refused at the door', (url) => {
  expect(policy.parse(url).href).toBe(new URL(url).href);
});

test('a redirect may lead from http to https, not back', () => {
  const [plain, secure] = [new URL('http://a.example/'), new URL('https://a.example/')];
  expect(policy.follow('https://b.example/', plain).href).toBe('https://b.example/');
  expect(policy.follow('/c', secure).href).toBe('https://a.example/c');
  expect(() => policy.follow('http://a.example/', secure)).toThrow(fails('URL_NOT_ALLOWED'));
});

test('an operator may name ranges of their own, not open everything', () => {
  const own = createUrlPolicy(readConfig({ URL_ORIGIN_ALLOW_CIDRS: '10.0.0.0/8,127.0.0.0/8' }).urlOrigins);
  expect(own.parse('http://10.1.2.3/').host).toBe('10.1.2.3');
  expect(own.parse('http://localhost/').host).toBe('localhost');
  expect(() => own.parse('http://192.168.0.1/')).toThrow(fails('URL_NOT_ALLOWED'));
  expect(() => own.parse('http://metadata.google.internal/')).toThrow(fails('URL_NOT_ALLOWED'));
  for (const everything of ['0.0.0.0/0', '::/0', '0.0.0.0/1']) {
    expect(() => readConfig({ URL_ORIGIN_ALLOW_CIDRS: everything })).toThrow(
      'URL_ORIGIN_ALLOW_CIDRS, entry 1: Must be',
    );
  }
});

test('what is said of a refused URL shows host and path, never a query that may hold credentials', () => {
  const signed = 'http://files.example:22/clip.mp4?X-Amz-Signature=s3cr3t#s3cr3t';
  const error = (() => {
    try {
      return policy.parse(signed);
    } catch (thrown) {
      return thrown;
    }
  })();
  expect(error).toMatchObject({ details: { url: 'http://files.example:22/clip.mp4' } });
  expect(JSON.stringify(error)).not.toContain('s3cr3t');
});

function answering(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 }));
  return (_, { all }, callback) => {
    if (all) callback(null, found);
    else callback(null, found[0]?.address ?? '', found[0]?.family ?? 4);
  };
}

/** An IPv4 address in as many parts as there are radixes; the last part holds the bytes that are left. */
function spell(octets: readonly number[], radixes: readonly number[]): string {
  const last = radixes.length - 1;
  const rest = octets.slice(last).reduce((sum, octet) => sum * 256 + octet, 0);
  const parts = [...octets.slice(0, last), rest];
  return parts.map((part, index) => prefixOf(radixes[index]) + part.toString(radixes[index])).join('.');
}

function prefixOf(radix: number | undefined): string {
  return { 8: '0', 16: '0x' }[radix ?? 10] ?? '';
}
