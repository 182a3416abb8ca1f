import { expect, test } from 'vitest';
import type { AssetType } from '#domain';
import { mediaType } from './media-type.ts';

test.each<[AssetType, string, string | undefined, string]>([
  ['source_code', 'project.zip', undefined, 'text/plain'],
  ['source_code', 'src.tar.gz', 'application/octet-stream', 'text/plain'],
  ['source_code', 'main.py', undefined, 'text/x-python'],
  ['source_code', 'main.ts', 'video/mp2t', 'text/plain'],
  ['subtitle', 'movie.sub', undefined, 'text/vnd.dvb.subtitle'],
  ['video_chunk', 'film.mp4', undefined, 'video/mp4'],
])('%s %s, said to be %s: guessed to be %s', (assetType, filename, said, contentType) => {
  expect(mediaType(assetType, filename, said)).toEqual({ contentType, typeGuessed: true });
});

test.each<[AssetType, string, string]>([
  ['source_code', 'main.py', 'text/plain'],
  ['video_chunk', 'film.ts', 'video/mp2t'],
])('%s %s is what its caller says: %s', (assetType, filename, contentType) => {
  expect(mediaType(assetType, filename, contentType)).toEqual({ contentType });
});
