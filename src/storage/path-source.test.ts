import { execFileSync } from 'node:child_process';
import { chmod, link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPathOpener } from './path-opener.ts';
import { fileSource } from './path-source.ts';

/** `$DIR` is the folder that has the root and, beside it, what must not be read. */
const ATTACKS: [what: string, path: string, code: 'PATH_NOT_ALLOWED' | 'ORIGIN_NOT_FOUND'][] = [
  ['nothing', '', 'PATH_NOT_ALLOWED'],
  ['the root itself', '.', 'PATH_NOT_ALLOWED'],
  ['a folder', 'sub', 'PATH_NOT_ALLOWED'],
  ['a slash at the end of a folder', 'sub/', 'PATH_NOT_ALLOWED'],
  ['a slash at the end of a file', 'sub/clip.mp4/', 'PATH_NOT_ALLOWED'],
  ['a path through a file', 'sub/clip.mp4/x', 'ORIGIN_NOT_FOUND'],
  ['no such file', 'none.mp4', 'ORIGIN_NOT_FOUND'],
  ['no such folder', 'none/clip.mp4', 'ORIGIN_NOT_FOUND'],
  ['the parent', '..', 'PATH_NOT_ALLOWED'],
  ['up and out', '../secret', 'PATH_NOT_ALLOWED'],
  ['down, up and out', 'sub/../../secret', 'PATH_NOT_ALLOWED'],
  ['out and in again elsewhere', '../root-2/file', 'PATH_NOT_ALLOWED'],
  ['many ups', `${'../'.repeat(40)}etc/passwd`, 'PATH_NOT_ALLOWED'],
  ['an absolute path', '/etc/passwd', 'PATH_NOT_ALLOWED'],
  ['an absolute path beside the root', '$DIR/secret', 'PATH_NOT_ALLOWED'],
  ['an absolute path up from the root', '$DIR/root/../secret', 'PATH_NOT_ALLOWED'],
  ['a folder whose name begins like the root', '$DIR/root-2/file', 'PATH_NOT_ALLOWED'],
  ['three slashes', '///etc/passwd', 'PATH_NOT_ALLOWED'],
  ['dots percent-encoded', '%2e%2e/secret', 'ORIGIN_NOT_FOUND'],
  ['backslashes', '..\\secret', 'ORIGIN_NOT_FOUND'],
  ['wide dots', '．．/secret', 'ORIGIN_NOT_FOUND'],
  ['a home', '~/.ssh/id_rsa', 'ORIGIN_NOT_FOUND'],
  ['a file URL', 'file:///etc/passwd', 'ORIGIN_NOT_FOUND'],
  ['a NUL', 'sub/clip.mp4\0.txt', 'PATH_NOT_ALLOWED'],
  ['only a NUL', '\0', 'PATH_NOT_ALLOWED'],
  ['a very long name', 'x'.repeat(5_000), 'ORIGIN_NOT_FOUND'],
  ['a very long path', `${'x/'.repeat(5_000)}x`, 'ORIGIN_NOT_FOUND'],
  ['a device', '/dev/zero', 'PATH_NOT_ALLOWED'],
  ['our own environment', '/proc/self/environ', 'PATH_NOT_ALLOWED'],
  ['our own open files', '/proc/self/fd/0', 'PATH_NOT_ALLOWED'],
  ['the root of the machine through ourselves', '/proc/self/root/etc/passwd', 'PATH_NOT_ALLOWED'],
  ['a link out', 'link-out', 'PATH_NOT_ALLOWED'],
  ['a link out by a relative path', 'link-relative', 'PATH_NOT_ALLOWED'],
  ['a link to a link out', 'link-to-link', 'PATH_NOT_ALLOWED'],
  ['a link in the middle', 'folder-out/secret', 'PATH_NOT_ALLOWED'],
  ['a link in the middle, and deeper', 'folder-out/root-2/file', 'PATH_NOT_ALLOWED'],
  ['a link to a folder', 'folder-out', 'PATH_NOT_ALLOWED'],
  ['a link to nothing', 'link-to-nothing', 'ORIGIN_NOT_FOUND'],
  ['a link to itself', 'link-loop', 'PATH_NOT_ALLOWED'],
  ['a link to a device', 'link-device', 'PATH_NOT_ALLOWED'],
  ['a link to our environment', 'link-proc', 'PATH_NOT_ALLOWED'],
  ['a link to our own open files', 'link-fd', 'PATH_NOT_ALLOWED'],
  ['a FIFO', 'fifo', 'PATH_NOT_ALLOWED'],
  ['a socket', 'socket', 'PATH_NOT_ALLOWED'],
];

const READABLE: [what: string, path: string][] = [
  ['a file', 'sub/clip.mp4'],
  ['a way round', './sub/../sub//clip.mp4'],
  ['an absolute path in the root', '$DIR/root/sub/clip.mp4'],
  ['a name of two dots and more', '..clip.mp4'],
  ['a name with spaces and accents', 'ein Film – été.mp4'],
  ['a link that stays inside', 'link-inside'],
  ['a hard link, which cannot be told from the file', 'hard-link'],
];

const CONTENT = '0123456789';
const fails = (code: string) => expect.objectContaining({ code });
const socket = createServer();
let dir: string;
let root: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reelay-path-'));
  root = join(dir, 'root');
  await mkdir(join(root, 'sub'), { recursive: true });
  await mkdir(join(dir, 'root-2'));
  for (const name of ['sub/clip.mp4', '..clip.mp4', 'ein Film – été.mp4', '../linked'])
    await writeFile(join(root, name), CONTENT);
  for (const name of ['secret', 'root-2/file']) await writeFile(join(dir, name), 'secret');
  const links = {
    'link-out': join(dir, 'secret'),
    'link-relative': '../secret',
    'link-to-link': 'link-out',
    'folder-out': dir,
    'link-to-nothing': 'nowhere',
    'link-loop': 'link-loop',
    'link-device': '/dev/zero',
    'link-proc': '/proc/self/environ',
    'link-fd': '/proc/self/fd/1',
    'link-inside': join(root, 'sub/clip.mp4'),
  };
  for (const [name, target] of Object.entries(links)) await symlink(target, join(root, name));
  await link(join(dir, 'linked'), join(root, 'hard-link'));
  execFileSync('mkfifo', [join(root, 'fifo')]);
  await new Promise<void>((resolve) => socket.listen(join(root, 'socket'), resolve));
});
afterAll(async () => {
  await new Promise((resolve) => socket.close(resolve));
  await rm(dir, { recursive: true });
});

const sourceOf = (path: string) => fileSource(path.replace('$DIR', dir), createPathOpener([root]));

describe('a path origin', () => {
  test.each(ATTACKS)('that names %s is refused: %j is %s', async (_what, path, code) => {
    await expect(sourceOf(path)).rejects.toEqual(fails(code));
  });

  test.each(READABLE)('that names %s is read: %j', async (_what, path) => {
    const source = await sourceOf(path);
    expect(source.size).toBe(10);
    expect(String(await buffer(await source.open(0)))).toBe(CONTENT);
    expect(String(await buffer(await source.open(7)))).toBe('789');
    expect(await buffer(await source.open(10))).toHaveLength(0);
  });

  test('never leads out, whatever is joined to what', async () => {
    const steps = [
      '..',
      '.',
      '',
      'sub',
      'root',
      'root-2',
      'folder-out',
      'link-out',
      'link-inside',
      'clip.mp4',
      'secret',
    ];
    const start = fc.constantFrom('', '/', '$DIR/', '$DIR/root/');
    const path = fc.tuple(start, fc.array(fc.constantFrom(...steps, 'file'), { maxLength: 7 }));
    const allowed = [CONTENT, 'PATH_NOT_ALLOWED', 'ORIGIN_NOT_FOUND'];
    await fc.assert(
      fc.asyncProperty(path, async ([first, rest]) => {
        const outcome = sourceOf(first + rest.join('/')).then(async (source) =>
          String(await buffer(await source.open(0))),
        );
        expect(allowed).toContain(await outcome.catch((error: { code: string }) => error.code));
      }),
      { numRuns: 1_000 },
    );
  });

  test('is looked for in each root, which may be a link or not be there', async () => {
    await symlink(root, join(dir, 'alias'));
    const open = createPathOpener([join(dir, 'none'), join(dir, 'root-2'), join(dir, 'alias')]);
    expect(await fileSource('sub/clip.mp4', open)).toMatchObject({ size: 10 });
    await expect(fileSource('link-out', open)).rejects.toEqual(fails('PATH_NOT_ALLOWED'));
  });

  test('is refused without roots, in words that name UPLOAD_ROOTS', async () => {
    const refused = { code: 'PATH_NOT_ALLOWED', message: expect.stringContaining('UPLOAD_ROOTS') };
    await expect(fileSource('clip.mp4', createPathOpener([]))).rejects.toMatchObject(refused);
  });

  test('that we may not read is refused', async () => {
    await writeFile(join(root, 'unreadable'), CONTENT);
    await chmod(join(root, 'unreadable'), 0);
    await chmod(dir, 0o711);
    // Root reads everything, so this is tried as nobody.
    const script = `
      const { createPathOpener } = await import(${JSON.stringify(new URL('./path-opener.ts', import.meta.url).href)});
      if (process.getuid() === 0) { process.setgroups([]); process.setgid(65534); process.setuid(65534); }
      const said = await createPathOpener([${JSON.stringify(root)}])('unreadable').then(() => 'read', (e) => e.code + ' ' + e.message);
      console.log(said);`;
    const cwd = fileURLToPath(new URL('../..', import.meta.url));
    const said = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { cwd, encoding: 'utf8' });
    expect(said.trim()).toBe('ORIGIN_NOT_FOUND The file cannot be read: EACCES.');
  });
});
