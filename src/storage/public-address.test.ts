import { describe, expect, test } from 'vitest';
import { isPublicAddress, judgeAddresses } from './public-address.ts';

/** What a `url` origin may not lead to, by kind. */
const REFUSED = {
  'this network': ['0.0.0.0', '0.1.2.3', '::'],
  loopback: ['127.0.0.1', '127.255.255.254', '::1'],
  private: ['10.1.1.1', '172.16.0.1', '172.31.255.255', '192.168.0.1'],
  'unique local': ['fc00::1', 'fd12:3456::1'],
  'link-local': ['169.254.0.1', 'fe80::1', 'fe80::1%eth0'],
  'site-local, of old': ['fec0::1'],
  'metadata of AWS, Google, Azure, Oracle': ['169.254.169.254', '169.254.170.2', 'fd00:ec2::254', '192.0.0.192'],
  'metadata of Azure, which looks public': ['168.63.129.16', '::ffff:168.63.129.16'],
  'metadata of Alibaba': ['100.100.100.200'],
  'carrier-grade NAT': ['100.64.0.1', '100.127.255.254'],
  multicast: ['224.0.0.1', '239.255.255.255', 'ff02::1'],
  broadcast: ['255.255.255.255'],
  reserved: ['192.0.0.8', '240.0.0.1', '198.18.0.1', '5f00::1', '4000::1', '100::1'],
  documentation: ['192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1', '3fff::1'],
  'IPv4 mapped into IPv6': ['::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:a9fe:a9fe'],
  'IPv4-compatible': ['::127.0.0.1', '::7f00:1', '::8.8.8.8'],
  'IPv4 translated': ['::ffff:0:127.0.0.1'],
  NAT64: ['64:ff9b::7f00:1', '64:ff9b::8.8.8.8', '64:ff9b:1::a00:1'],
  '6to4': ['2002:7f00:1::', '2002:a9fe:a9fe::1'],
  Teredo: ['2001::1', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
  '6to4 relays': ['192.88.99.1'],
  'no address': ['localhost', '', '127.0.0.1/8', '256.0.0.1'],
};

describe('an address that is not public is refused', () => {
  const rows = Object.entries(REFUSED).flatMap(([kind, addresses]) => addresses.map((address) => [kind, address]));
  test.each(rows)('%s: %s', (_kind, address) => {
    expect(isPublicAddress(address)).toBe(false);
    expect(judgeAddresses([])(address)).toBe(false);
  });
});

test.each(['8.8.8.8', '172.32.0.1', '100.128.0.1', '2001:4860:4860::8888', '::ffff:8.8.8.8'])(
  '%s is public',
  (address) => {
    expect(isPublicAddress(address)).toBe(true);
    expect(judgeAddresses([])(address)).toBe(true);
  },
);

test('ranges of a network of its own are allowed as named, metadata services never', () => {
  const isAllowed = judgeAddresses(['10.1.0.0/16', '169.254.0.0/16', 'fd00::/8']);
  expect(['10.1.2.3', '::ffff:10.1.2.3', '169.254.1.1', 'fd00::5', '8.8.8.8'].filter(isAllowed)).toHaveLength(5);
  const refused = ['10.2.0.1', '169.254.169.254', '::ffff:169.254.169.254', 'fd00:ec2::254', 'fd00::5%lo', '::a01:203'];
  expect(refused.filter(isAllowed)).toEqual([]);
});
