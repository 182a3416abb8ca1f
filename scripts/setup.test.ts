import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SETUP = join(import.meta.dirname, 'setup.mjs');

/** The only folder on the PATH of the machine that is set up: what is not in it is not installed. */
let bin: string;

beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), 'reelay-bin-'));
  symlinkSync('/bin/sh', join(bin, 'sh'));
  symlinkSync('/usr/bin/touch', join(bin, 'touch'));
  symlinkSync('/bin/chmod', join(bin, 'chmod'));
});

afterEach(() => rmSync(bin, { recursive: true, force: true }));

describe('setting up a machine', () => {
  it('does nothing and says nothing when all is there', () => {
    put('redis-server');
    put('ffmpeg');
    expect(setUp('test')).toEqual({ status: 0, said: '' });
  });

  it('installs what is missing, and says what and why before', () => {
    put('brew', installing('redis-server', 'ffmpeg'));
    expect(setUp('up')).toEqual({
      status: 0,
      said:
        'reelay: redis-server is missing (the queues live in it): installing it by brew\n' +
        'reelay: ffmpeg is missing (it makes sample videos): installing it by brew\n' +
        'brew install redis ffmpeg\n',
    });
    expect(existsSync(join(bin, 'redis-server'))).toBe(true);
  });

  it('names the ways out in one sentence when nothing can install Redis', () => {
    put('ffmpeg');
    expect(setUp('up')).toEqual({
      status: 1,
      said: 'reelay: redis-server is missing and neither apt as root or by sudo, nor brew, is here to install it. Install Redis 7 by hand, or name a running one in REDIS_URL.\n',
    });
  });

  it('says so when the installer fails', () => {
    put('ffmpeg');
    put('brew', 'exit 1');
    expect(setUp('up')).toMatchObject({ status: 1, said: expect.stringContaining('brew could not install it.') });
  });

  it('needs no redis-server of its own with REDIS_URL, except for tests', () => {
    put('ffmpeg');
    expect(setUp('up', { REDIS_URL: 'redis://elsewhere' })).toEqual({ status: 0, said: '' });
    expect(setUp('test', { REDIS_URL: 'redis://elsewhere' }).status).toBe(1);
  });

  it('starts without ffmpeg, but does not test without it', () => {
    put('redis-server');
    expect(setUp('up')).toMatchObject({ status: 0, said: expect.stringContaining('ffmpeg is missing') });
    expect(setUp('test').status).toBe(1);
  });

  it('installs what more tests need at one stroke, by the names of its packages', () => {
    const ceph = ['ceph-mon', 'ceph-osd', 'ceph-mgr', 'radosgw', 'ceph', 'curl'];
    const more = [...ceph, 'docker-compose', 'redis-sentinel', 'redis-cli', 'python3', 'openssl', 'chromium'];
    for (const name of ['redis-server', 'ffmpeg']) put(name);
    put('apt-get', `[ "$1" = update ] || { ${installing(...more)}; }`);
    if (process.getuid?.() !== 0)
      put('sudo', 'while [ "$1" != apt-get ]; do [ $# = 0 ] && exit; shift; done; exec "$@"');
    const { status, said } = setUp('more');
    expect(status).toBe(0);
    expect(said.split('\n').filter((line) => line.includes('is missing ('))).toHaveLength(more.length);
    expect(said).toContain(
      'ceph-mon ceph-osd ceph-mgr radosgw ceph-common curl docker-compose redis-sentinel redis-tools python3 openssl chromium\n',
    );
    expect(setUp('more')).toEqual({ status: 0, said: '' });
  });

  it('says that more tests need Debian where there is no apt', () => {
    const redis = ['redis-server', 'redis-sentinel', 'redis-cli', 'python3', 'openssl'];
    for (const name of [...redis, 'ffmpeg', 'ceph-mon', 'ceph-osd', 'ceph-mgr', 'ceph', 'curl', 'chromium', 'brew'])
      put(name);
    expect(setUp('more')).toEqual({
      status: 1,
      said: 'reelay: These tests need Debian or one of its kin: radosgw, docker-compose would come from apt, which is not here.\n',
    });
  });
});

function setUp(purpose: 'up' | 'test' | 'more', env: NodeJS.ProcessEnv = {}): { status: number | null; said: string } {
  const { status, stderr } = spawnSync(process.execPath, [SETUP, purpose], {
    env: { PATH: bin, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  return { status, said: stderr };
}

/** A program on the machine's PATH. */
function put(name: string, script = 'exit 0'): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}

function installing(...names: string[]): string {
  const files = names.map((name) => join(bin, name)).join(' ');
  return `echo "\${0##*/} $*" >&2; touch ${files}; chmod +x ${files}`;
}
