/**
 * An agent that edits a scene's source code: takes the current version, changes it, posts it as the next one.
 *
 *   node examples/code-agent/agent.ts PROJECT SESSION SCENE
 *
 * When the current version cannot be downloaded it works from its cached copy. An edit is written to disk before it
 * is sent, under a name Reelay knows it by; an agent that dies before the answer sends the same edit again, and the
 * scene has it once. Ends with 0 when the edit is ready, with 2 when it is not told the scene, with 75 when the API is away: start it again later.
 * Variables: REELAY_API_URL, REELAY_KEY, CACHE, PATIENCE_SECONDS.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createClient, ReelayError } from '#client/node.ts';

const { REELAY_API_URL = 'http://127.0.0.1:3000', REELAY_KEY = '', CACHE = 'code-cache' } = process.env;
const PATIENCE_SECONDS = Number(process.env.PATIENCE_SECONDS ?? 30);

const [project, session, scene] = sceneOf(process.argv.slice(2));
const reelay = createClient({
  apiUrl: REELAY_API_URL,
  key: REELAY_KEY,
  retryForMs: PATIENCE_SECONDS * 1_000,
});

/** A version as the agent knows it. */
interface Source {
  readonly filename: string;
  readonly code: string;
  /** 0 for a scene that has none yet. */
  readonly version: number;
}
/** An edit on its way. */
interface Edit extends Source {
  readonly idempotencyKey: string;
}

const folder = join(CACHE, ...[project, session, scene].map(encodeURIComponent));
const cached = join(folder, 'source.json');
const pending = join(folder, 'pending.json');

await mkdir(folder, { recursive: true });
try {
  // An edit that an earlier run may or may not have sent comes before any new one.
  const edit = (await read<Edit>(pending)) ?? (await makeEdit(await currentSource()));
  await post(edit);
} catch (error) {
  if (!(error instanceof ReelayError)) throw error;
  say(`${error.code}: ${error.message} ${error.nextAction}`);
  process.exitCode = error.retryable ? 75 : 1;
}

function sceneOf([project, session, scene]: readonly string[]): [string, string, string] {
  if (project && session && scene) return [project, session, scene];
  process.stderr.write('Usage: node examples/code-agent/agent.ts PROJECT SESSION SCENE\n');
  process.exit(2);
}

/** The scene's current code, or the cached copy when it cannot be had now. */
async function currentSource(): Promise<Source> {
  try {
    const source = await download();
    await write(cached, source);
    say(`took version ${source.version}`);
    return source;
  } catch (error) {
    const refused = error instanceof ReelayError && !error.retryable;
    const copy = await read<Source>(cached);
    if (refused || !copy) throw error;
    say(`${error instanceof Error ? error.message : error} Working from the cached version ${copy.version}.`);
    return copy;
  }
}

async function download(): Promise<Source> {
  const { assets } = await reelay.listAssets({ project, session, scene }, { assetType: 'source_code' });
  const [current] = assets;
  if (!current) return { filename: `${scene}.py`, code: '', version: 0 };
  const code = await text(await reelay.download(current.assetId));
  return { filename: current.filename, code, version: current.version ?? 0 };
}

/** The edit itself; a real agent asks its model here. Kept on disk before it is sent. */
async function makeEdit({ filename, code, version }: Source): Promise<Edit> {
  const edit = {
    filename,
    code: `${code}# edit of version ${version}\n`,
    version,
    idempotencyKey: `edit-${randomUUID()}`,
  };
  await write(pending, edit);
  return edit;
}

/** Posts the edit and waits until it is the scene's next version. */
async function post({ filename, code, idempotencyKey }: Edit): Promise<void> {
  const { batchId, outcome, jobs } = await reelay.uploadFile(
    { project, session, scene, assetType: 'source_code', filename, bytes: new TextEncoder().encode(code) },
    { idempotencyKey },
  );
  say(`accepted as ${batchId} (${outcome})`);
  const { failed } = await reelay.waitForBatch(batchId);
  // Refused for good: the next run starts from the current version again.
  if (failed.length > 0) await rm(pending);
  for (const { error } of failed) throw new ReelayError(error);

  const { version = 0 } = await reelay.getAsset(jobs[0]?.files[0]?.assetId ?? '');
  await write(cached, { filename, code, version });
  await rm(pending);
  say(`posted version ${version}`);
}

async function read<T>(path: string): Promise<T | undefined> {
  const json = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return json === undefined ? undefined : (JSON.parse(json) as T);
}

/** In one step, so that a crash leaves the old file or the new one. */
async function write(path: string, value: unknown): Promise<void> {
  await writeFile(`${path}.tmp`, JSON.stringify(value));
  await rename(`${path}.tmp`, path);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
