import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ASSET_TYPES } from '#domain';
import { PACKING, type Packable, packFiles } from './packing.ts';

const KIB = 1024;
const script = (size?: number): Packable => ({ assetType: 'source_code', size });

describe('packFiles', () => {
  it('puts 1,000 files of 10 KB into 20 packs', () => {
    const packs = packFiles(Array.from({ length: 1_000 }, () => script(10 * KIB)));
    expect(packs).toHaveLength(20);
    expect(new Set(packs.map((pack) => pack.lane))).toEqual(new Set(['small']));
  });

  it('closes a pack at 8 MiB', () => {
    const packs = packFiles(Array.from({ length: 9 }, () => script(1024 * KIB)));
    expect(packs.map((pack) => pack.files.length)).toEqual([8, 1]);
  });

  it('sends a film to lane large and leaves middling files alone in small', () => {
    expect(packFiles([script(64 * 1024 * KIB + 1)])[0]?.lane).toBe('large');
    expect(packFiles([script(2 * 1024 * KIB), script(2 * 1024 * KIB)]).map((pack) => pack.lane)).toEqual([
      'small',
      'small',
    ]);
  });

  it('starts a file of unknown size alone in lane small', () => {
    expect(packFiles([script(), script(1)]).map((pack) => pack.files.length)).toEqual([1, 1]);
  });

  it('loses no file, repeats none and keeps every limit', () => {
    const file = fc.record({
      assetType: fc.constantFrom(...ASSET_TYPES),
      size: fc.option(fc.integer({ min: 0, max: 70 * 1024 * KIB }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(file, { maxLength: 200 }), (files) => {
        const packs = packFiles(files);
        expect(new Set(packs.flatMap((pack) => pack.files))).toEqual(new Set(files));
        expect(packs.flatMap((pack) => pack.files)).toHaveLength(files.length);
        for (const pack of packs.filter(({ files }) => files.length > 1)) {
          expect(pack.files.length).toBeLessThanOrEqual(PACKING.sharedFiles);
          expect(pack.files.reduce((sum, { size }) => sum + (size ?? 0), 0)).toBeLessThanOrEqual(PACKING.sharedBytes);
        }
      }),
    );
  });
});
