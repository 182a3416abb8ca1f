import { describe, expect, test } from 'vitest';
import { examineStore } from '#storage/examine.ts';
import type { TestBucket } from './bucket.ts';

/** What an RGW of this version shows of itself; `docs/fidelity.md` says the same in words. */
export function describeExamination(getBucket: () => TestBucket): void {
  describe('an examination', () => {
    test.each([
      ['over http', () => ({})],
      ['over TLS, the bucket in the host name', () => getBucket().overTls],
    ])('%s tells what the store does, and leaves nothing there', async (_, changes) => {
      const found = await examineStore({ ...getBucket().config, ...changes() }, 'https://films.example');
      expect(found).toEqual({
        ...{ kind: 's3', region: 'us-east-1', sha256: false, md5Etag: true, composite: false, fullObject: false },
        ...{ conditionalWrites: true, streamedTrailers: false, versioning: 'off', objectLock: false },
        ...{ defaultEncryption: undefined, signedUrl: 200, cors: false },
      });
      expect((await getBucket().open().list('.reelay/')).objects).toEqual([]);
      expect(await getBucket().openUploads()).toEqual([]);
    });
  });
}
