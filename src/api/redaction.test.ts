import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { newApiKey } from './api-key.ts';
import { redact } from './redaction.ts';

const { key } = newApiKey(randomBytes, { name: 'k', scopes: [], createdAt: 0 });

describe('what is shown of a text', () => {
  const JWT = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl';
  it.each([
    [
      'the query of a URL',
      'at https://a.example/f.mp4?token=tell-tale&x=1 again',
      'at https://a.example/f.mp4?[hidden] again',
    ],
    ['its fragment', 'see https://a.example/#access=tell-tale', 'see https://a.example/#[hidden]'],
    ['user and password', 'redis://ada:tell-tale@redis.example:6379/0', 'redis://[hidden]@redis.example:6379/0'],
    ['a header', 'Authorization: Digest tell-tale, more', 'Authorization: [hidden]'],
    ['a header as JSON', '{"authorization":"tell-tale"}', '{"authorization":"[hidden]"}'],
    [
      'JSON within JSON',
      String.raw`{"body":"{\"password\":\"tell-tale\"}"}`,
      String.raw`{"body":"{\"password\":\"[hidden]\"}"}`,
    ],
    ['a bearer', 'sent Bearer tell-tale.x to it', 'sent Bearer [hidden] to it'],
    ['a login', 'sent Basic dGVsbDp0YWxl to it', 'sent Basic [hidden] to it'],
    ['an API key of ours', `the key ${key} is over`, 'the key rk_[hidden] is over'],
    ['an access key of AWS', 'the key AKIAIOSFODNN7EXAMPLE is over', 'the key [hidden] is over'],
    ['a secret of AWS', 'aws_secret_access_key = wJalrXUtnFEMI/K7MDENG', 'aws_secret_access_key = [hidden]'],
    ['a signature', 'SignedHeaders=host, Signature=f0e1d2c3', 'SignedHeaders=host, Signature=[hidden]'],
    ['a token', `token ${JWT} refused`, 'token [hidden] refused'],
    ['a token by its name', 'sessionToken=tell-tale;', 'sessionToken=[hidden];'],
    ['a private key', '-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----\nend', '[hidden]\nend'],
  ])('is not %s', (_what, text, shown) => {
    expect(redact(text)).toBe(shown);
  });

  it('is everything else', () => {
    for (const text of ['CHECKSUM_MISMATCH: clip.mp4 has the SHA-256 9f86d081, not 2c26b46b.', 'at a (/x/y.ts:1:2)'])
      expect(redact(text)).toBe(text);
  });
});

describe('what is shown of a value', () => {
  it('is no secret by its name, at any depth', () => {
    const value = { data: [{ metadata: { who: 'Ada' }, apiKey: 'x', size: 3, origin: { Authorization: ['y'] } }] };
    const shown = { metadata: '[hidden]', apiKey: '[hidden]', size: 3, origin: { Authorization: '[hidden]' } };
    expect(redact(value)).toEqual({ data: [shown] });
    expect(redact({ tokens: 7, token: 3, password: null, filename: 'a.py' })).toEqual({
      ...{ tokens: 7, token: 3, password: null, filename: 'a.py' },
    });
  });
});
