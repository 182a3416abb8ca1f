import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { Bench } from './bench.ts';
import { SCENE } from './door.ts';

/** One kind of bad input, and what must come of it: what the door says, or how the row ends. */
export interface BadInput {
  readonly input: string;
  readonly expected: string;
  run(bench: Bench): Promise<string>;
}

const JSON_BODY = { 'content-type': 'application/json' };
const file = (own: object = {}) => ({
  ...{ assetType: 'source_code', filename: 'a.py', origin: { kind: 'inline', text: 'print(1)' }, ...own },
});
const body = (own: object = {}) => ({ ...SCENE, files: [file()], ...own });
/** What becomes of one file. */
const upload = async (bench: Bench, given: object) => bench.fate(await bench.post(given));
const row = (input: string, expected: string, run: BadInput['run']): BadInput => ({ input, expected, run });

/** What a JSON text is answered with. */
const post = (
  input: string,
  expected: string,
  sent: string | object,
  headers: Record<string, string> = JSON_BODY,
  path = '/v1/uploads',
) =>
  row(input, expected, async (bench) => {
    const init = { method: 'POST', headers, body: typeof sent === 'string' ? sent : JSON.stringify(sent) };
    return bench.verdict(await bench.send(path, init));
  });
const withKey = (input: string, expected: string, key: (bench: Bench) => Promise<string> | string) =>
  row(input, expected, async (bench) => {
    const headers = { ...JSON_BODY, authorization: `Bearer ${await key(bench)}` };
    return bench.verdict(await bench.send('/v1/uploads', { method: 'POST', headers, body: JSON.stringify(body()) }));
  });
const path = (input: string, expected: string, given: string) =>
  row(`path ${input}`, expected, (bench) =>
    upload(bench, { origin: { kind: 'path', path: given.replace('<dir>', bench.deployment.dir) } }),
  );
const url = (expected: string, given: string) =>
  row(`url ${given}`, expected, (bench) =>
    upload(bench, { origin: { kind: 'url', url: given.replace('<origin>', bench.origin) } }),
  );
const named = (input: string, expected: string, filename: string) =>
  row(`filename ${input}`, expected, (bench) => upload(bench, file({ filename })));

const ACCESS: BadInput[] = [
  withKey('no key', '401 UNAUTHENTICATED', () => ''),
  withKey('a key of another form', '401 UNAUTHENTICATED', () => 'secret'),
  withKey('a wrong secret', '401 UNAUTHENTICATED', ({ deployment }) => `${deployment.agentKey.slice(0, -8)}00000000`),
  withKey('an unknown key', '401 UNAUTHENTICATED', () => `rk_nobody_${'0'.repeat(64)}`),
  withKey('an expired key', '401 UNAUTHENTICATED', (bench) => bench.key({ expiresAt: Date.now() - 1 })),
  withKey('a revoked key', '401 UNAUTHENTICATED', (bench) => bench.key({ revokedAt: Date.now() - 1 })),
  withKey('a key without assets:write', '403 FORBIDDEN', (bench) => bench.key({ scopes: ['assets:read'] })),
  withKey("another project's key", '403 FORBIDDEN', (bench) => bench.key({ projects: ['other'] })),
];

const many = (count: number, item: (index: number) => unknown) =>
  Array.from({ length: count }, (_, index) => item(index));
const JSON_BODIES: BadInput[] = [
  post('invalid JSON', '400 INVALID_JSON', '{"project": '),
  post('JSON that ends halfway', '400 INVALID_JSON', JSON.stringify(body()).slice(0, -5)),
  post('JSON that is no object', '400 VALIDATION_FAILED', '[]'),
  post('100,000 levels of JSON', '400 VALIDATION_FAILED', `{"files":${'['.repeat(1e5)}${']'.repeat(1e5)}}`),
  post('a body of another type', '415 UNSUPPORTED_MEDIA_TYPE', JSON.stringify(body()), {
    'content-type': 'text/plain',
  }),
  post('17 MiB of JSON', '413 TOO_LARGE', `{"project":"${'x'.repeat(17 * 1024 ** 2)}"}`),
  post('an unknown field', '400 VALIDATION_FAILED', body({ colour: 'red' })),
  post('an unknown field of a file', '400 VALIDATION_FAILED', body({ files: [file({ colour: 'red' })] })),
  post(
    'the key __proto__',
    '400 VALIDATION_FAILED',
    JSON.stringify(body()).replace('{', '{"__proto__":{"admin":true},'),
  ),
  post('the key constructor', '400 VALIDATION_FAILED', JSON.stringify(body()).replace('{', '{"constructor":{},')),
  post(
    '__proto__ in metadata',
    '400 VALIDATION_FAILED',
    JSON.stringify(body({ files: [file({ metadata: { a: 1 } })] })).replace('"a":1', '"__proto__":1'),
  ),
  post('no files', '400 VALIDATION_FAILED', body({ files: [] })),
  post('5,001 files', '413 TOO_LARGE', body({ files: many(5_001, () => file()) })),
  post('1,001 ids', '413 TOO_LARGE', { assetIds: many(1_001, (index) => `a_${index}`) }, JSON_BODY, '/v1/assets/urls'),
];

const PATHS: BadInput[] = [
  path('through ..', '400 PATH_NOT_ALLOWED', '../secret.txt'),
  path('through a folder and ..', '400 PATH_NOT_ALLOWED', 'folder/../../secret.txt'),
  path('absolute, outside', '400 PATH_NOT_ALLOWED', '/etc/passwd'),
  path('absolute, beside the root', '400 PATH_NOT_ALLOWED', '<dir>/secret.txt'),
  path('a symlink that leads out', '400 PATH_NOT_ALLOWED', 'link.txt'),
  path('a symlinked folder on the way', '400 PATH_NOT_ALLOWED', 'up/secret.txt'),
  path('a device', '400 PATH_NOT_ALLOWED', '/dev/zero'),
  path('a symlink to a device', '400 PATH_NOT_ALLOWED', 'zero'),
  path('a named pipe', '400 PATH_NOT_ALLOWED', 'fifo'),
  path('a directory', '400 PATH_NOT_ALLOWED', 'folder'),
  path('a missing file', '400 ORIGIN_NOT_FOUND', 'none.py'),
  path('with NUL', '400 VALIDATION_FAILED', 'good.py\0.png'),
];

const DOOR_URLS = [
  'http://127.1/',
  'http://localhost:80/',
  'http://2130706433/',
  'http://0177.0.0.1/',
  'http://0x7f.1/',
  'http://0.0.0.0/',
  'http://10.0.0.1/',
  'http://172.16.0.1/',
  'http://192.168.1.1/',
  'http://100.64.0.1/',
  'http://169.254.169.254/latest/meta-data/',
  'http://[::1]/',
  'http://[::ffff:10.0.0.1]/',
  'http://[64:ff9b::10.0.0.1]/',
  'http://[2002:a00:1::]/',
  'http://[fd00:ec2::254]/',
  'http://[fe80::1]/',
  'http://224.0.0.1/',
  'http://255.255.255.255/',
  'https://user:pass@files.example/',
  'http://files.example:22/',
];
const URLS: BadInput[] = [
  ...DOOR_URLS.map((given) => url('400 URL_NOT_ALLOWED', given)),
  url('400 VALIDATION_FAILED', 'file:///etc/passwd'),
  url('400 VALIDATION_FAILED', 'ftp://files.example/a'),
  url('error ORIGIN_NOT_FOUND', '<origin>/none'),
  url('error ORIGIN_NOT_FOUND', '<origin>/forbidden'),
  url('error URL_NOT_ALLOWED', '<origin>/to-metadata'),
  url('error URL_NOT_ALLOWED', '<origin>/to-private'),
  url('error URL_NOT_ALLOWED', '<origin>/to-file'),
  url('error URL_NOT_ALLOWED', '<origin>/to-other-port'),
  url('error ORIGIN_UNREADABLE', '<origin>/loop'),
  url('error ORIGIN_UNREADABLE', '<origin>/stall'),
  url('error ORIGIN_UNREADABLE', '<origin>/lying-short'),
  url('error ORIGIN_UNREADABLE', '<origin>/gzip'),
  url('error ORIGIN_UNREADABLE', '<origin>/nonsense'),
  url('error TOO_LARGE', '<origin>/huge'),
  row('a size that is not that of the URL', 'error SIZE_MISMATCH', (bench) =>
    upload(bench, { origin: { kind: 'url', url: `${bench.origin}/good` }, size: 5 }),
  ),
];

const ZEROS = '0'.repeat(64);
const BYTES: BadInput[] = [
  row('a wrong SHA-256 of inline bytes', '422 CHECKSUM_MISMATCH', (bench) => upload(bench, file({ checksum: ZEROS }))),
  row('a wrong SHA-256 of a file', 'error CHECKSUM_MISMATCH', (bench) =>
    upload(bench, { origin: { kind: 'path', path: 'good.py' }, checksum: ZEROS }),
  ),
  row('a wrong SHA-256 of a URL', 'error CHECKSUM_MISMATCH', (bench) =>
    upload(bench, { origin: { kind: 'url', url: `${bench.origin}/good` }, checksum: ZEROS }),
  ),
  row('a wrong size of inline bytes', '422 SIZE_MISMATCH', (bench) => upload(bench, file({ size: 3 }))),
  row('a wrong size of a file', '422 SIZE_MISMATCH', (bench) =>
    upload(bench, { origin: { kind: 'path', path: 'good.py' }, size: 3 }),
  ),
  row('an empty inline file', '422 EMPTY_FILE', (bench) =>
    upload(bench, file({ origin: { kind: 'inline', text: '' } })),
  ),
  row('an empty file', '422 EMPTY_FILE', (bench) => upload(bench, { origin: { kind: 'path', path: 'empty.py' } })),
  row('a PNG declared as a film', 'error CONTENT_TYPE_MISMATCH', (bench) =>
    upload(bench, {
      ...{ assetType: 'video_chunk', filename: 'film.mp4', contentType: 'video/mp4' },
      origin: { kind: 'path', path: 'film.mp4' },
    }),
  ),
];

const FILENAMES: BadInput[] = [
  named('../../etc/passwd', 'ready', '../../etc/passwd'),
  named('..%2f..%2fpasswd', 'ready', '..%2f..%2fpasswd'),
  named('of emoji', 'ready', '🎬🚀.py'),
  named('in Arabic', 'ready', 'مشهد.py'),
  named('with NUL', '400 VALIDATION_FAILED', 'a\0.py'),
  named('with control characters', '400 VALIDATION_FAILED', 'a\u0007\u001b[31m.py'),
  named('with a line break', '400 VALIDATION_FAILED', 'a\r\nSet-Cookie: x.py'),
  named('of 300 letters', '400 VALIDATION_FAILED', 'x'.repeat(300)),
  named('with a right-to-left mark', '400 VALIDATION_FAILED', 'a\u202eyp.exe'),
  named('with half a character', '400 VALIDATION_FAILED', 'a\ud800.py'),
];

const PART = (name: string, own = '') => `--X\r\nContent-Disposition: form-data; name="${name}"${own}\r\n\r\n`;
const FILE = PART('file', '; filename="a.bin"');
const X = 'multipart/form-data; boundary=X';
const form = (input: string, expected: string, sent: string, type = X) =>
  post(`a form that ${input}`, expected, sent, { 'content-type': type }, '/v1/uploads/files');
const FORMS: BadInput[] = [
  form('ends halfway', '400 INVALID_FORM', `${FILE}half`),
  form('has no boundary', '400 INVALID_FORM', `${FILE}whole\r\n--X--\r\n`, 'multipart/form-data'),
  form('has 10,000 files', '413 TOO_LARGE', `${`${FILE}x\r\n`.repeat(10_000)}--X--\r\n`),
  form(
    'has 10,000 fields',
    '413 TOO_LARGE',
    `${many(10_000, (index) => `${PART(`f${index}`)}x\r\n`).join('')}--X--\r\n`,
  ),
  form('has no file', '400 INVALID_FORM', `${PART('project')}demo\r\n--X--\r\n`),
  row('a form that has a field of 1 GB', '413 TOO_LARGE', (bench) => endlessField(bench, 1e9)),
];

/** Sends a field of `bytes` for as long as the API takes it. */
function endlessField({ api, deployment }: Bench, bytes: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const sending = request(`${api.url}/v1/uploads/files`, {
    method: 'POST',
    headers: { authorization: `Bearer ${deployment.agentKey}`, 'content-type': X },
  });
  sending.once('response', async (answer) => {
    const { error } = JSON.parse(await text(answer)) as { error: { code: string } };
    resolve(`${answer.statusCode} ${error.code}`);
    sending.destroy();
  });
  sending.on('error', reject);
  sending.write(PART('project'));
  const piece = Buffer.alloc(1024 ** 2, 'x');
  let left = bytes;
  const more = () => {
    while (left > 0 && !sending.destroyed) {
      left -= piece.length;
      if (!sending.write(piece)) return;
    }
    if (left <= 0) sending.end('\r\n--X--\r\n');
  };
  sending.on('drain', more);
  more();
  return promise;
}

/** The whole table, by what is bad. */
export const BAD_INPUT: Readonly<Record<string, readonly BadInput[]>> = {
  'who asks': ACCESS,
  'JSON bodies': JSON_BODIES,
  paths: PATHS,
  URLs: URLS,
  bytes: BYTES,
  filenames: FILENAMES,
  forms: FORMS,
};
