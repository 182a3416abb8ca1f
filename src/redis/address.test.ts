import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRedisUrl, printRedisAddress, redisAddress } from './address.ts';

const mistakesOf = (text: string) => {
  const read = parseRedisUrl(text);
  return 'mistakes' in read ? read.mistakes : [];
};

describe('a URL of Redis', () => {
  it('names one server, with an ACL user, a password and a database', () => {
    expect(redisAddress('redis://ada:p%40ss%2F@redis.example:7000/3')).toEqual({
      kind: 'standalone',
      tls: false,
      username: 'ada',
      password: 'p@ss/',
      hosts: [{ host: 'redis.example', port: 7000 }],
      db: 3,
    });
    expect(redisAddress('rediss://:secret@[::1]')).toMatchObject({
      tls: true,
      username: undefined,
      password: 'secret',
      hosts: [{ host: '::1', port: 6379 }],
      db: 0,
    });
    expect(redisAddress('redis://localhost:6379/')).toMatchObject({ kind: 'standalone', db: 0 });
  });

  it('names Sentinels, which have a login of their own', () => {
    expect(
      redisAddress('rediss+sentinel://ada:pw@s1,s2:26380/mymaster/2?sentinelUser=watch&sentinelPassword=s%26p'),
    ).toEqual({
      kind: 'sentinel',
      tls: true,
      username: 'ada',
      password: 'pw',
      hosts: [
        { host: 's1', port: 26_379 },
        { host: 's2', port: 26_380 },
      ],
      db: 2,
      master: 'mymaster',
      sentinel: { username: 'watch', password: 's&p' },
    });
  });

  it('names nodes of a Cluster, in one URL or in several', () => {
    const cluster = {
      kind: 'cluster',
      tls: false,
      username: undefined,
      password: 'pw',
      hosts: [
        { host: 'a', port: 7000 },
        { host: 'b', port: 6379 },
      ],
    };
    expect(redisAddress('redis+cluster://:pw@a:7000,b')).toEqual(cluster);
    expect(redisAddress('redis://:pw@a:7000, redis://:pw@b')).toEqual(cluster);
    expect(redisAddress('redis+cluster://:pw@a:7000,redis+cluster://:pw@b')).toEqual(cluster);
  });
});

describe('a mistake', () => {
  it.each([
    ['localhost:6379', 'Must be of a form of these'],
    ['http://localhost', 'Must be of a form of these'],
    ['redis+ring://localhost', 'Must be of a form of these'],
    ['redis://', 'Must name each host as host or host:port'],
    ['redis://host:99999', 'with a port from 1 to 65535'],
    ['redis://a,b', 'redis+sentinel:// or redis+cluster://'],
    ['redis://host/one', 'Must name the database by a number'],
    ['redis://host/1/2', 'Must end with the number of the database'],
    ['redis://host?ssl=true', 'Must have nothing after a question mark'],
    ['redis://ada@host', 'Must have a password after the user'],
    ['redis://ada:%zz@host', 'written as %25'],
    ['redis+sentinel://s1,s2', 'Must name the master'],
    ['redis+sentinel://s1/m/0/9', 'at most, the number of the database'],
    ['redis+sentinel://s1/m?password=x', 'sentinelUser and sentinelPassword alone'],
    ['redis+sentinel://s1/m?sentinelUser=x', 'Must have a sentinelPassword'],
    ['redis+cluster://a,b/1', 'Must not name a database for a Cluster'],
    ['redis://a/1,redis://b/1', 'Must not name a database for a Cluster'],
    ['redis://a,rediss://b', 'one user, one password and one scheme'],
    ['redis+sentinel://a/m,redis+sentinel://b/m', 'Must be one URL for Sentinel'],
  ])('of %s is named', (text, words) => {
    expect(mistakesOf(text).join(' ')).toContain(words);
  });

  it('comes with the others', () => {
    expect(mistakesOf('redis+sentinel://ada@s1:0/?x=1')).toHaveLength(4);
  });

  it('never repeats a password, wherever it stands', () => {
    const password = fc.stringMatching(/^[\w@/:?#,%-]{4,20}$/).map((text) => `${text}SECRET`);
    const form = fc.constantFrom('redis://ada:', 'redis+cluster://:', 'rediss+sentinel://x:', 'nonsense://:');
    fc.assert(
      fc.property(form, password, (start, secret) => {
        expect(mistakesOf(`${start}${secret}@host/a/b/c`).join(' ')).not.toContain('SECRET');
      }),
    );
  });
});

it('is printed without who enters', () => {
  for (const url of ['redis://127.0.0.1:6379', 'rediss+sentinel://a:1,[::1]:2/m', 'redis+cluster://a:1,b:2']) {
    expect(printRedisAddress(redisAddress(url.replace('://', '://ada:pw@')))).toBe(url);
  }
});
