import { expect, test } from 'vitest';
import type { LocalFile } from './local-files.ts';
import { planRequests } from './requests.ts';

const MIB = 2 ** 20;
const file = (size: number, name = `${size}.mp4`): LocalFile => ({
  path: `/${name}`,
  name,
  size,
  modifiedAt: 1,
  assetType: 'video_chunk',
});
const shape = (files: LocalFile[]) => planRequests(files).map(({ kind, files, bytes }) => [kind, files.length, bytes]);

test('files up to 1 MiB travel together, larger ones alone', () => {
  expect(shape([file(10), file(MIB + 1), file(MIB)])).toEqual([
    ['alone', 1, MIB + 1],
    ['inline', 2, MIB + 10],
  ]);
  expect(planRequests([])).toEqual([]);
});

test('a group ends at 5,000 files', () => {
  const files = Array.from({ length: 10_001 }, () => file(1));
  expect(shape(files)).toEqual([
    ['inline', 5_000, 5_000],
    ['inline', 5_000, 5_000],
    ['inline', 1, 1],
  ]);
});

test('a group stays below 12 MiB as the JSON that is sent, long names too', () => {
  const files = Array.from({ length: 3_000 }, (_, i) => file((i * 7919) % MIB, `${'"é'.repeat(80)}${i}.mp4`));
  const requests = planRequests(files);
  const sizes = requests.map(({ files }) => {
    const sent = files.map(({ name: filename }) => {
      const origin = { kind: 'inline', base64: '' };
      return {
        assetType: 'combined_subtitle',
        filename,
        contentType: 'application/x-subrip',
        origin,
        checksum: 'c'.repeat(64),
        visibility: 'private',
      };
    });
    const base64 = files.reduce((sum, { size }) => sum + Math.ceil(size / 3) * 4, 0);
    return Buffer.byteLength(JSON.stringify({ project: 'p', session: 's', files: sent })) + base64;
  });
  expect(Math.max(...sizes)).toBeLessThanOrEqual(12 * MIB);
  expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThan(10 * MIB);
  expect(requests.flatMap(({ files }) => files)).toEqual(files);
});
