import { describe, expect, test } from 'vitest';
import { examineStore } from '#storage/examine.ts';
import { PROBE_PREFIX } from '#storage/s3-probe.ts';
import { spawnedCli } from '#test/spawned-cli.ts';
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
        ...{ conditionalWrites: true, streamedTrailers: false, versioning: 'off', endsOldVersions: false },
        ...{ missingRights: [], objectLock: false, defaultEncryption: undefined, signedUrl: 200, cors: false },
      });
      expect((await getBucket().open().list(PROBE_PREFIX)).objects).toEqual([]);
      expect((await getBucket().openUploads()).filter((key) => key.startsWith(PROBE_PREFIX))).toEqual([]);
    });

    test('names the rights that resuming and reconciling would lack', async () => {
      const rights = ['s3:ListBucketMultipartUploads', 's3:ListMultipartUploadParts'];
      await getBucket().without(rights, async () => {
        const found = await examineStore(getBucket().config, 'https://films.example');
        expect(found).toMatchObject({ missingRights: rights });
      });
    });

    test('is what the command line prints, with a private authority of the certificate', async () => {
      const cli = await spawnedCli();
      const run = async (env: Record<string, string>) => {
        const { stdout } = await cli.reelay(['config', 'check', '--json'], { ...getBucket().tlsEnv, ...env });
        const { findings } = JSON.parse(stdout) as { findings: { part: string; state: string; what: string }[] };
        return findings.filter(({ part }) => part === 'store').map(({ state, what }) => `${state}: ${what}`);
      };
      const kms = { S3_SSE: 'aws:kms', S3_KMS_KEY_ID: 'testing-key' };
      expect(await run(kms)).toEqual([
        expect.stringMatching(/^ok: bucket reelay-test in us-east-1, at https:/),
        'ok: the credentials may list objects and uploads',
        'warning: verifies nothing itself',
        "ok: encryption aws:kms with testing-key is confirmed (the bucket's own: none)",
        'ok: versioning off, Object Lock off',
        'ok: conditional writes work',
        'ok: streamed trailers are refused, S3_CHECKSUM_MODE WHEN_REQUIRED',
        'ok: a signed URL serves its object',
        'warning: pages of the API may not read signed URLs (CORS)',
      ]);
      expect(await run({ S3_SSE: 'AES256' })).toEqual([expect.stringMatching(/^error: .* asked for AES256/)]);
      expect(await run({ NODE_EXTRA_CA_CERTS: '' })).toEqual([expect.stringMatching(/^error: .*certificate/)]);
      await cli.close();
    }, 90_000);
  });
}
