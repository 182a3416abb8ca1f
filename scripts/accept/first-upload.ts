import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startStack } from '#test/stack.ts';
import { until } from '#test/until.ts';
import { atMost, type Chapter, equal, timed } from './figures.ts';

const run = promisify(execFile);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** An empty folder, the first upload by curl, a stop, a start. */
export const firstUpload: Chapter = {
  name: 'first-upload',
  command: 'npm run up; curl -F …; Ctrl-C; npm run up',
  async run() {
    const first = await timed(() => startStack());
    const stack = first.answer;
    try {
      const clip = join(stack.dataDir, 'clip.mp4');
      await run('ffmpeg', [
        '-loglevel',
        'error',
        '-f',
        'lavfi',
        '-i',
        'testsrc=duration=2:size=320x240:rate=25',
        '-y',
        clip,
      ]);
      const authorization = `Authorization: Bearer ${stack.agentKey}`;
      const fields = ['project=demo', 'session=s1', 'scene=demo', 'assetType=video_chunk', `file=@${clip}`];
      const curl = async (...args: string[]) => (await run('curl', ['-sS', '-H', authorization, ...args])).stdout;

      const upload = await timed(async () => {
        const answer = await curl(...fields.flatMap((field) => ['-F', field]), `${stack.apiUrl}/v1/uploads/files`);
        const { jobs } = JSON.parse(answer) as { jobs: { files: { assetId: string }[] }[] };
        const assetId = jobs[0]?.files[0]?.assetId ?? '';
        const isReady = async () => JSON.parse(await curl(`${stack.apiUrl}/v1/assets/${assetId}`)).status === 'ready';
        await until(isReady, { within: 30_000, what: 'the clip to be ready' });
        return assetId;
      });
      const bytesOf = async () => {
        const answer = await fetch(`${stack.apiUrl}/v1/assets/${upload.answer}/url?redirect=1`, {
          headers: { authorization: `Bearer ${stack.agentKey}` },
        });
        return sha256(new Uint8Array(await answer.arrayBuffer()));
      };
      const sent = sha256(await readFile(clip));
      const before = await bytesOf();
      await stack.stop();
      const second = await timed(() => stack.start());
      return [
        { what: 'first start, empty folder', figure: `${first.seconds.toFixed(2)} s`, goal: '(none)', met: true },
        atMost('curl until ready', upload.seconds, 2, 's'),
        equal('SHA-256 of GET …/url?redirect=1 is the clip’s', String(before === sent), 'true'),
        atMost('second start', second.seconds, 5, 's'),
        equal('SHA-256 after the second start is the clip’s', String((await bytesOf()) === sent), 'true'),
      ];
    } finally {
      await stack.remove();
    }
  },
};
