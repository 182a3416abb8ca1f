/**
 * An agent that renders a clip and hands it to Reelay. What it has rendered it keeps in an outbox folder until Reelay
 * has it: while the API is away, and when the agent itself dies and is started again.
 *
 *   node examples/render-agent/agent.ts render "Scene one"    renders a clip, then delivers the outbox
 *   node examples/render-agent/agent.ts deliver               delivers what an earlier run left behind
 *
 * Ends with 0 once the outbox is empty, with 75 ("try again later") while the API is away, with 1 when a clip was
 * refused, with 2 for any other command. Variables: REELAY_API_URL, REELAY_KEY, OUTBOX, PATIENCE_SECONDS.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createClient, ReelayError } from '#client/node.ts';

const { REELAY_API_URL = 'http://127.0.0.1:3000', REELAY_KEY = '', OUTBOX = 'outbox' } = process.env;
/** How long one run goes on trying while the API is away. */
const PATIENCE_SECONDS = Number(process.env.PATIENCE_SECONDS ?? 60);

const reelay = createClient({
  apiUrl: REELAY_API_URL,
  key: REELAY_KEY,
  retryForMs: PATIENCE_SECONDS * 1_000,
  onRetry: ({ code }, waitMs) => say(`${code}: trying again in ${waitMs} ms`),
});

/** What is to be delivered, beside its clip in the outbox. */
interface Entry {
  readonly scene: { readonly project: string; readonly session: string; readonly scene: string };
  readonly filename: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Names the upload for Reelay: however often it is sent, it is one asset. */
  readonly idempotencyKey: string;
}

const [command, title = 'Reelay'] = process.argv.slice(2);
if (command !== 'render' && command !== 'deliver') {
  process.stderr.write('Usage: node examples/render-agent/agent.ts render [TITLE] | deliver\n');
  process.exit(2);
}
await mkdir(OUTBOX, { recursive: true });
if (command === 'render') await render(title);
process.exitCode = await deliverAll();

/** Renders a clip into the outbox. Its entry is written last, in one step: an entry's clip is always whole. */
async function render(title: string): Promise<void> {
  const id = randomUUID();
  const source = 'testsrc=duration=2:size=320x180:rate=24';
  const clip = join(OUTBOX, `${id}.mp4`);
  await promisify(execFile)('ffmpeg', ['-loglevel', 'error', '-f', 'lavfi', '-i', source, '-pix_fmt', 'yuv420p', clip]);
  const entry: Entry = {
    scene: { project: 'demo', session: 'renders', scene: title },
    filename: `${title}.mp4`,
    metadata: { renderer: 'render-agent', title, seconds: 2 },
    idempotencyKey: `render-${id}`,
  };
  await writeFile(join(OUTBOX, `${id}.tmp`), JSON.stringify(entry));
  await rename(join(OUTBOX, `${id}.tmp`), join(OUTBOX, `${id}.json`));
  say(`rendered ${entry.filename}`);
}

/** Delivers every entry, those of earlier runs too. */
async function deliverAll(): Promise<0 | 1 | 75> {
  const ids = (await readdir(OUTBOX)).filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -5));
  let refused = false;
  for (const id of ids) {
    try {
      await deliver(id);
    } catch (error) {
      if (!(error instanceof ReelayError)) throw error;
      say(`${id}: ${error.code}: ${error.message} ${error.nextAction}`);
      if (error.retryable) return 75;
      // It will be refused tomorrow too: put aside for a person, so that others are not kept.
      await rename(join(OUTBOX, `${id}.json`), join(OUTBOX, `${id}.refused`));
      refused = true;
    }
  }
  return refused ? 1 : 0;
}

/** Sends one clip, waits until it is ready, and only then forgets it. */
async function deliver(id: string): Promise<void> {
  const { scene, filename, metadata, idempotencyKey } = JSON.parse(
    await readFile(join(OUTBOX, `${id}.json`), 'utf8'),
  ) as Entry;
  const path = join(OUTBOX, `${id}.mp4`);
  const onProgress = (bytes: number) => say(`${filename}: ${bytes} bytes sent`);
  const { batchId, outcome } = await reelay.uploadFile(
    { ...scene, assetType: 'video_chunk', filename, path, metadata, onProgress },
    { idempotencyKey },
  );
  say(`${filename}: accepted as ${batchId} (${outcome})`);

  const { successful, failed } = await reelay.waitForBatch(batchId);
  for (const { error } of failed) throw new ReelayError(error);
  say(`${filename}: ready as ${successful[0]}`);
  await rm(join(OUTBOX, `${id}.json`));
  await rm(path);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
