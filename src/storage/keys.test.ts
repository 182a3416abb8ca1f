import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assertKey, downloadName, objectKey, safeName, stagingKey } from './keys.ts';

const outside = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc
    .array(
      fc.constantFrom(
        '..',
        '.',
        '/',
        '\\',
        '%2f',
        '%2e',
        '\0',
        '\u202e',
        '\u200b',
        ' ',
        'é',
        'e\u0301',
        '<',
        '\u0338',
        '👩‍👩‍👧',
        'a.mp4',
        '\ud800',
      ),
    )
    .map((parts) => parts.join('')),
);

describe('safeName', () => {
  test('any text becomes one safe segment, and stays what it became', () => {
    fc.assert(
      fc.property(outside, (text) => {
        const name = safeName(text);
        expect(name).not.toBe('');
        expect(name).not.toMatch(/[/\\%?#\p{Cc}\p{Cs}\u061c\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]|\.\./u);
        expect(name).not.toMatch(/^\s|[\s.]$/u);
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(200);
        expect(name).toBe(name.normalize('NFC'));
        expect(safeName(name)).toBe(name);
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    ['clip.mp4', 'clip.mp4'],
    ['ünïcode 🎬 [1080p].mp4', 'ünïcode 🎬 [1080p].mp4'],
    ['../../etc/passwd', '._._etc_passwd'],
    ['..', 'unnamed'],
    ['', 'unnamed'],
    ['a%2fb', 'a_2fb'],
    ['invoice\u202egpj.exe', 'invoicegpj.exe'],
    ['100%.mp4', '100_.mp4'],
  ])('%j reads %j', (text, name) => {
    expect(safeName(text)).toBe(name);
  });

  test('a long name keeps its extension and whole characters', () => {
    const name = safeName(`${'🎬'.repeat(100)}.mp4`);
    expect(name).toBe(`${'🎬'.repeat(49)}.mp4`);
  });
});

describe('keys', () => {
  test('a scene asset and a session asset', () => {
    const entity = { project: 'demo', session: 's-1', scene: 'scene/1' };
    expect(objectKey(entity, 'video_chunk', 'a1', 'clip.mp4')).toBe(
      'projects/demo/sessions/s-1/scenes/scene_1/video_chunk/a1/clip.mp4',
    );
    expect(objectKey({ project: 'demo', session: 's-1' }, 'manifest', 'a2', 'manifest.json')).toBe(
      'projects/demo/sessions/s-1/manifest/a2/manifest.json',
    );
    expect(stagingKey('b1', 3)).toBe('staging/b1/3');
  });

  test('every key made from outside names is one the stores take', () => {
    fc.assert(
      fc.property(outside, outside, outside, outside, (project, session, scene, filename) => {
        const key = objectKey({ project, session, scene }, 'combined_subtitle', 'a'.repeat(64), filename);
        assertKey(key);
        expect(key.split('/')).toHaveLength(9);
      }),
    );
  });

  test.each(['', '/a', 'a//b', 'a/../b', './a', 'a/', 'a\0b', 'a\ud800', 'x'.repeat(1025)])('%j is refused', (key) => {
    expect(() => assertKey(key)).toThrow(expect.objectContaining({ code: 'STORE_REJECTED' }));
  });
});

describe('downloadName', () => {
  test('source code is named after scene and version', () => {
    const code = { assetType: 'source_code', scene: 'intro', version: 3 } as const;
    expect(downloadName({ ...code, filename: 'main' })).toBe('intro_v3.py');
    expect(downloadName({ ...code, filename: 'main.py' })).toBe('intro_v3.py');
    expect(downloadName({ ...code, filename: 'main.tsx' })).toBe('intro_v3.tsx');
    expect(downloadName({ ...code, filename: 'main.exe' })).toBe('intro_v3.py');
    expect(downloadName({ ...code, version: undefined, filename: 'main.py' })).toBe('main.py');
  });

  test('anything else keeps its own', () => {
    expect(downloadName({ assetType: 'video_chunk', scene: 'intro', version: 3, filename: 'clip.mp4' })).toBe(
      'clip.mp4',
    );
  });
});
