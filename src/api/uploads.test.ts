import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Accepted } from '#answers';
import { startApi, type TestApi } from '#test/api.ts';

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const inline = (content: string) => ({ kind: 'inline', text: content });
const script = (own: object = {}) => ({
  assetType: 'source_code',
  filename: 'a.py',
  origin: inline('print(1)'),
  ...own,
});
const one = (own: object) => upload({ files: [script(own)] });
const at = (url: string) => one({ origin: { kind: 'url', url } });
const INVALID = [400, 'VALIDATION_FAILED'] as const;
const upload = (own: object = {}) => ({ project: 'demo', session: 's-1', scene: 'scene-1', files: [script()], ...own });

async function accepted(response: Response): Promise<Accepted> {
  expect(response.status).toBe(202);
  return (await response.json()) as Accepted;
}

async function failure(response: Response) {
  return ((await response.json()) as { error: { code: string; message: string; details: Record<string, unknown> } })
    .error;
}

/** What the jobs of an upload will read, file by file. */
async function packed(answer: Accepted) {
  const jobs = await Promise.all(
    answer.jobs.map(({ jobId, lane }) => api.producer.lanes[lane as 'small'].getJob(jobId)),
  );
  return jobs.flatMap((job) => job?.data.files as { filename: string; origin: { key: string; slice?: object } }[]);
}

const stagedKeys = async () => (await api.store.list('staging/')).objects.map(({ key }) => key);

describe('POST /v1/uploads', () => {
  test('packs inline bytes into one staged object and gives each file its slice', async () => {
    const files = [
      script({ filename: 'a.py', origin: inline('first') }),
      script({ origin: { kind: 'inline', base64: 'c2Vjb25k' } }),
    ];
    const answer = await accepted(await api.post('/v1/uploads', upload({ files })));

    expect(answer).toMatchObject({ outcome: 'created', jobs: [{ lane: 'small', size: 11 }] });
    const [first, second] = await packed(answer);
    expect(first).toMatchObject({
      contentType: 'text/x-python',
      size: 5,
      checksum: 'a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e',
      origin: { kind: 'staged', slice: { offset: 0, length: 5 } },
    });
    expect(second?.origin).toEqual({ kind: 'staged', key: first?.origin.key, slice: { offset: 5, length: 6 } });
    const { body } = await api.store.get(first?.origin.key ?? '');
    expect(await text(body)).toBe('firstsecond');
  });

  test('is seen at once: batch, job and asset', async () => {
    const response = await api.call('/v1/uploads', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-correlation-id': 'my-run-7' },
      body: JSON.stringify(upload()),
    });
    expect(response.headers.get('x-correlation-id')).toBe('my-run-7');
    const { batchId, jobs } = await accepted(response);
    const [job] = jobs;
    const assetId = job?.files[0]?.assetId;

    const batch = await (await api.call(`/v1/batches/${batchId}`)).json();
    expect(batch).toMatchObject({ batchId, state: 'accepted', total: 1, successful: [], failed: [], size: 8 });
    const asked = await (await api.call(`/v1/jobs/${job?.jobId}`)).json();
    expect(asked).toMatchObject({ jobId: job?.jobId, state: 'waiting', files: [{ assetId, filename: 'a.py' }] });
    const asset = await (await api.call(`/v1/assets/${assetId}`)).json();
    expect(asset).toMatchObject({ assetId, status: 'pending', project: 'demo', correlationId: 'my-run-7', size: 8 });
    expect(asset).not.toHaveProperty('createdBy');
    const { jobs: listed } = (await (await api.call('/v1/jobs?state=waiting&project=demo&limit=1000')).json()) as {
      jobs: object[];
    };
    expect(listed).toContainEqual(expect.objectContaining({ jobId: job?.jobId }));
  });

  test('takes paths inside the roots, links resolved, and no others', async () => {
    await mkdir(join(api.root, 'clips'));
    await writeFile(join(api.root, 'clips/a.mp4'), 'moving');
    await symlink('/etc/hostname', join(api.root, 'escape'));
    const ask = (path: string) =>
      api.post('/v1/uploads', upload({ files: [script({ origin: { kind: 'path', path } })] }));

    const [file] = await packed(await accepted(await ask('clips/a.mp4')));
    expect(file).toMatchObject({ size: 6, origin: { kind: 'path', path: 'clips/a.mp4' } });
    expect((await failure(await ask('escape'))).code).toBe('PATH_NOT_ALLOWED');
    expect((await failure(await ask('../secret'))).code).toBe('PATH_NOT_ALLOWED');
    expect((await failure(await ask('clips/../nothing.mp4'))).code).toBe('ORIGIN_NOT_FOUND');
    expect((await failure(await ask('clips'))).code).toBe('PATH_NOT_ALLOWED');
  });

  const wrong: [why: string, body: unknown, status: number, code: string, path?: string][] = [
    ['nothing', {}, ...INVALID, 'project'],
    ['no files', upload({ files: [] }), ...INVALID, 'files'],
    ['an unknown field', upload({ projct: 'x' }), ...INVALID, 'projct'],
    ['a prototype', JSON.parse('{"__proto__":{"admin":true}}'), ...INVALID, '__proto__'],
    ['a constructor', upload({ constructor: {} }), ...INVALID, 'constructor'],
    ['an empty id', upload({ session: '' }), ...INVALID, 'session'],
    ['an id of spaces', upload({ session: ' ' }), ...INVALID, 'session'],
    ['an id with a line break', upload({ session: 'a\nb' }), ...INVALID, 'session'],
    ['an id that reads backwards', upload({ scene: 'a\u202eb' }), ...INVALID, 'scene'],
    ['half a character', upload({ scene: 'a\ud800' }), ...INVALID, 'scene'],
    ['an id too long', upload({ project: 'x'.repeat(201) }), ...INVALID, 'project'],
    ['no scene', upload({ scene: undefined }), ...INVALID, 'files[0].assetType'],
    ['a needless scene', one({ assetType: 'manifest' }), ...INVALID, 'files[0].assetType'],
    ['a type of its own', one({ assetType: 'film' }), ...INVALID, 'files[0].assetType'],
    ['a path for a name', one({ filename: 'a\0b' }), ...INVALID, 'files[0].filename'],
    ['a header in a type', one({ contentType: 'a/b\r\nx: y' }), ...INVALID, 'files[0].contentType'],
    ['a short checksum', one({ checksum: 'abc' }), ...INVALID, 'files[0].checksum'],
    ['half a byte', one({ size: 1.5 }), ...INVALID, 'files[0].size'],
    ['a field of Convex', one({ metadata: { _id: 1 } }), ...INVALID, 'files[0].metadata._id'],
    ['heavy metadata', one({ metadata: { a: 'x'.repeat(17_000) } }), ...INVALID, 'files[0].metadata'],
    ['nothing staged', one({ origin: { kind: 'staged', stagingId: 'x' } }), 400, 'ORIGIN_NOT_FOUND', 'files[0]'],
    ['two bodies', one({ origin: { kind: 'inline', text: 'a', base64: 'YQ==' } }), ...INVALID, 'files[0].origin'],
    ['no base64', one({ origin: { kind: 'inline', base64: '%%' } }), ...INVALID, 'files[0].origin.base64'],
    ['a file URL', at('file:///etc/passwd'), ...INVALID, 'files[0].origin.url'],
    ['loopback', at('http://127.0.0.1/'), 400, 'URL_NOT_ALLOWED', 'files[0]'],
    ['loopback as a number', at('http://2130706433/'), 400, 'URL_NOT_ALLOWED', 'files[0]'],
    ['loopback mapped', at('http://[::ffff:127.0.0.1]/'), 400, 'URL_NOT_ALLOWED', 'files[0]'],
    ["a cloud's metadata", at('http://169.254.169.254/'), 400, 'URL_NOT_ALLOWED', 'files[0]'],
    ['a URL with a password', at('https://u:p@example.com/'), 400, 'URL_NOT_ALLOWED', 'files[0]'],
    ['no bytes', one({ origin: inline('') }), 422, 'EMPTY_FILE', 'files[0]'],
    ['another size', one({ size: 3 }), 422, 'SIZE_MISMATCH', 'files[0]'],
    ['another checksum', one({ checksum: '0'.repeat(64) }), 422, 'CHECKSUM_MISMATCH', 'files[0]'],
    ['too many files', upload({ files: Array.from({ length: 5_001 }, () => ({})) }), 413, 'TOO_LARGE'],
  ];
  test.each(wrong)('refuses %s', async (_why, body, status, code, path) => {
    const before = await stagedKeys();
    const response = await api.post('/v1/uploads', body);
    const error = await failure(response);
    expect([response.status, error.code]).toEqual([status, code]);
    if (path) expect(error.details.fields).toContainEqual(expect.objectContaining({ path }));
    expect(await stagedKeys()).toEqual(before);
  });

  test('names every mistake at once', async () => {
    const files = [script({ checksum: 'x' }), script({ size: -1, lock: true }), script({ assetType: 'manifest' })];
    const { details } = await failure(await api.post('/v1/uploads', upload({ session: '', files })));
    const paths = (details.fields as { path: string }[]).map(({ path }) => path).toSorted();
    expect(paths).toEqual(['files[0].checksum', 'files[1].lock', 'files[1].size', 'files[2].assetType', 'session']);
  });

  test('ignores no option that it does not know', async () => {
    for (const path of ['/v1/uploads?wetRun=1', '/v1/uploads?dryRun=perhaps', '/v1/uploads/files?dryRun=1']) {
      const { code, details } = await failure(await api.post(path, upload()));
      expect([code, details]).toMatchObject([
        'VALIDATION_FAILED',
        { fields: [{ path: expect.stringMatching(/Run$/) }] },
      ]);
    }
  });

  test('plans a dry run, and does nothing else', async () => {
    const staged = await stagedKeys();
    const files = [
      script(),
      script({ filename: 'b.py' }),
      script({ origin: { kind: 'url', url: 'http://93.184.215.14/clip' } }),
    ];
    const response = await api.post('/v1/uploads?dryRun=1', upload({ files }));
    expect([response.status, await response.json()]).toEqual([
      200,
      {
        outcome: 'planned',
        jobs: [
          { lane: 'small', size: 16, files: [{ filename: 'a.py' }, { filename: 'b.py' }] },
          { lane: 'small', size: 0, files: [{ filename: 'a.py' }] },
        ],
      },
    ]);
    expect(await stagedKeys()).toEqual(staged);
    expect((await failure(await api.post('/v1/uploads?dryRun=1', upload({ files: [script({ size: 1 })] })))).code).toBe(
      'SIZE_MISMATCH',
    );
  });

  test('says in plain words what is wrong', async () => {
    const { message } = await failure(
      await api.post('/v1/uploads', { ...one({ assetType: 'film' }), project: undefined }),
    );
    expect(message).toMatch(/^project: Is missing\. files\[0\]\.assetType: Must be one of video_chunk, .*manifest\.$/);
  });

  test('refuses bodies it cannot read', async () => {
    const send = (type: string, body: string) =>
      api.call('/v1/uploads', { method: 'POST', headers: { 'content-type': type }, body });
    expect((await failure(await send('application/json', '{"a":'))).code).toBe('INVALID_JSON');
    expect((await failure(await send('application/json', `"${'x'.repeat(16 * 1024 * 1024)}"`))).code).toBe('TOO_LARGE');
    const { code } = await failure(await send('text/plain', '{}'));
    expect(code).toBe('UNSUPPORTED_MEDIA_TYPE');
  });
});

test('with Redis away nothing is accepted and nothing stays staged', async () => {
  const before = await stagedKeys();
  await api.redisServer.kill();
  try {
    const response = await api.post('/v1/uploads', upload());
    expect([response.status, await failure(response)]).toMatchObject([
      503,
      { code: 'QUEUE_UNAVAILABLE', message: 'Redis is away.' },
    ]);
    expect(response.headers.get('retry-after')).toBe('5');
    expect(await stagedKeys()).toEqual(before);
    const asset = await api.call('/v1/assets/a_unknown');
    expect([asset.status, (await failure(asset)).code]).toEqual([503, 'QUEUE_UNAVAILABLE']);
  } finally {
    await api.redisServer.start();
  }
});
