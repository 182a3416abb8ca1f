import { describe, expect, it } from 'vitest';
import { faultKey, fingerprintOf, withoutParticulars } from './fingerprint.ts';

describe('a message without its particulars', () => {
  const same: [what: string, ...messages: string[]][] = [
    ['sizes', 'The origin ended after 12 of 4096 bytes.', 'The origin ended after 7 of 13 bytes.'],
    [
      'files of a pack',
      'The staged bytes are not in the store.',
      '2 of 50 files failed; my clip: take 2.mp4: The staged bytes are not in the store.',
      '1 of 3 files failed; a.py: The staged bytes are not in the store.',
    ],
    [
      'names of files',
      'main.py has 3 bytes, 4 were announced.',
      'my film (take 2).mp4 has 31 bytes, 5 were announced.',
      '3 of 5 files failed; a b.mp4: a b.mp4 has 3 bytes, 4 were announced.',
    ],
    [
      'URLs and hosts with ports',
      'The URL could not be read: connect ECONNREFUSED 10.0.0.7:8080.',
      'The URL could not be read: connect ECONNREFUSED 192.168.2.1:443.',
    ],
    ['URLs', 'The URL https://a.example/x?y=1 is refused.', 'The URL http://b.example:81/z is refused.'],
    [
      'paths',
      "ENOENT: no such file or directory, open '/srv/films/a.mp4'",
      "ENOENT: no such file or directory, open '/tmp/b'",
    ],
    ['bare paths', 'The file /srv/films/a.mp4 cannot be read: ENOENT.', 'The file clips/b.mp4 cannot be read: ENOENT.'],
    [
      'ids and checksums',
      'Asset a_mmY7n7yTC3B2Mzvu1Ezz has the SHA-256 9f86d081884c7d65, not 2c26b46b68ffc68f.',
      'Asset a_QuWUZs4ZK3hyp63C-67t has the SHA-256 486ea46224d1bb4f, not fcde2b2edba56bf4.',
    ],
    ['quoted names', 'There is no bucket "films" here.', 'There is no bucket "other films" here.'],
  ];
  it.each(same)('reads the same for other %s', (_what, ...messages) => {
    expect(new Set(messages.map(withoutParticulars)).size).toBe(1);
  });

  it('keeps faults apart', () => {
    const messages = [
      'The URL could not be read: connect ECONNREFUSED 10.0.0.7:8080.',
      'The URL could not be read: connect ETIMEDOUT 10.0.0.7:8080.',
      'The store refused the request.',
      "Convex refused assets:commit: It doesn't fit the schema.",
      "Convex refused assets:commit: It doesn't know the token.",
    ];
    expect(new Set(messages.map(withoutParticulars)).size).toBe(messages.length);
  });
});

describe('a fingerprint', () => {
  it('is short, and tells code, job and message apart', () => {
    const fault = { code: 'STORE_REJECTED', job: 'upload', message: 'The store refused the request.' };
    const others = [{ code: 'STORE_FAILED' }, { job: 'batch-end' }, { message: 'The store answered nothing.' }];
    const all = [{}, ...others].map((own) => fingerprintOf(faultKey({ ...fault, ...own })));
    expect(all[0]).toMatch(/^[\da-f]{12}$/);
    expect(new Set(all).size).toBe(4);
    expect(fingerprintOf(faultKey({ ...fault }))).toBe(all[0]);
  });
});
