import { describe, expect, test } from 'vitest';
import { signDiskUrl, verifyDiskUrl } from './disk-url.ts';

const secret = Buffer.from('a secret');
const granted = { key: 'a/é 🎬?&+.mp4', expiresAt: 1_800_000_000_000, filename: 'Zoë "x".mp4', download: true };
const url = signDiskUrl(secret, granted);
const forbidden = expect.objectContaining({ code: 'FORBIDDEN' });

describe('URLs of the disk store', () => {
  test('say what was granted, until they expire', () => {
    expect(url).toMatch(/^\/objects\/a\/[^?]+\?expires=1800000000&[^?]*signature=[\w-]+$/);
    expect(verifyDiskUrl(secret, url, granted.expiresAt - 1)).toEqual(granted);
    expect(() => verifyDiskUrl(secret, url, granted.expiresAt)).toThrow(forbidden);
  });

  test.each([
    ['another key', url.replace('/a/', '/b/')],
    ['a key that walks', url.replace('/a/', '/a/../a/')],
    ['a broken escape', url.replace('/a/', '/%ff/')],
    ['a later expiry', url.replace('expires=18', 'expires=19')],
    ['an expiry that is no number', url.replace('expires=18', 'expires=x')],
    ['another name', url.replace('filename=Zo', 'filename=Za')],
    ['no download', url.replace('download=1', 'download=0')],
    ['no signature', url.replace(/signature=.*/, '')],
    ['a short signature', url.slice(0, -1)],
    ['another path', url.replace('/objects/', '/object/')],
    ['nothing', ''],
  ])('%s is refused', (_, tampered) => {
    expect(() => verifyDiskUrl(secret, tampered, 0)).toThrow(forbidden);
  });

  test('another secret is refused', () => {
    expect(() => verifyDiskUrl(Buffer.from('another'), url, 0)).toThrow(forbidden);
  });
});
