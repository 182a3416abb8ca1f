import { spawn } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Asset, createClient, type NodeClient } from '#client/node.ts';
import { type Stack, startStack } from '#test/stack.ts';
import { until } from '#test/until.ts';
import { atMost, type Chapter, equal, type Figure, timed } from './figures.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const SCENE = { project: 'demo', session: 'renders', scene: 'renders' } as const;
const FILES = 5_000;
const BYTES = 2_000_000_000;
/** As `reelay upload` sends at a time. */
const CONCURRENCY = 4;
/** Most of a JSON request: the 12 MiB it is planned with, and its heads. */
const JSON_REQUEST = 12.1 * 2 ** 20;
const MB = 1e6;

/** A folder of 5,000 files and 2 GB, killed at half and typed again, seen from the API's side. */
export const uploadDir: Chapter = {
  name: 'upload-dir',
  command: 'reelay upload DIR (5,000 files, 2 GB) in a terminal, kill -9 at half, and again',
  async run() {
    const dir = await mkdtemp(join(tmpdir(), 'reelay-upload-dir-'));
    const stack = await startStack();
    const wire = await countingProxy(new URL(stack.apiUrl).port);
    try {
      const checksums = await writeFiles(join(dir, 'renders'));
      return await interrupted({ dir, stack, wire, checksums });
    } finally {
      await wire.close();
      await stack.remove();
      await rm(dir, { recursive: true, force: true });
    }
  },
};

interface Scenario {
  readonly dir: string;
  readonly stack: Stack;
  readonly wire: CountingProxy;
  /** SHA-256 of each file on disk, by name. */
  readonly checksums: ReadonlyMap<string, string>;
}

async function interrupted({ dir, stack, wire, checksums }: Scenario): Promise<Figure[]> {
  const client = createClient({ apiUrl: stack.apiUrl, key: stack.agentKey });
  const first = await reelay(dir, { stack, wire, name: 'first' });
  await until(async () => (await rowsOf(client)).length >= FILES / 2, {
    ...{ within: 600_000, every: 1_000 },
    what: 'half of the files to be accepted',
  });
  process.kill(first.pid, 'SIGKILL');
  await first.ended;
  const before = await until(() => settled(client), { within: 120_000, every: 1_000, what: 'the API to settle' });
  const firstBytes = wire.take();

  const { seconds, answer: code } = await timed(async () => (await reelay(dir, { stack, wire, name: 'second' })).ended);
  const secondBytes = wire.take();
  const rows = await rowsOf(client);
  const there = new Set(before.map(({ filename }) => filename));
  const missing = rows.filter(({ filename }) => !there.has(filename)).map(({ size = 0 }) => size);
  const largest = Math.max(...rows.map(({ size = 0 }) => size), JSON_REQUEST);
  const shown = await readFile(join(dir, 'second.out'), 'utf8');
  const bar = /sending +[=-]+ \d+% \| [\d,]+\/[\d,]+ files \| .+ of .+ \| .+\/s \| (–|\d+ (s|min|h).*) left/;
  return [
    { ...plain('files accepted of the first run', before.length), met: before.length < FILES },
    plain('MB on the wire in the first run', Math.round(firstBytes / MB)),
    equal('files accepted of the second run', rows.length - before.length, FILES - before.length),
    plain('MB on the wire in the second run', Math.round(secondBytes / MB)),
    atMost(
      'of these, more than the missing files take',
      Math.max(0, Math.round((secondBytes - missing.reduce((sum, size) => sum + onWire(size), 0)) / MB)),
      Math.ceil((CONCURRENCY * largest) / MB),
      'MB (what was in flight at the kill)',
    ),
    equal('the second run ended with', code, 0),
    equal('it said', shown.match(/5,000 files: .*already there/)?.[0] ?? '-', said(before.length)),
    equal('rows', rows.length, FILES),
    equal('rows ready', rows.filter(({ status }) => status === 'ready').length, FILES),
    equal('errors among them', [...new Set(rows.flatMap(({ error }) => error?.code ?? []))].join() || 'none', 'none'),
    equal('names among them', new Set(rows.map(({ filename }) => filename)).size, FILES),
    equal(
      'with the SHA-256 of the file on disk',
      rows.filter(({ filename, checksum }) => checksum === checksums.get(filename)).length,
      FILES,
    ),
    equal(
      'bytes',
      rows.reduce((sum, { size = 0 }) => sum + size, 0),
      BYTES,
    ),
    equal('a bar with files, bytes, rate and time left', String(bar.test(shown)), 'true'),
    plain('seconds of the second run', Math.round(seconds)),
  ];
}

/** Types by extension, with the bytes such a file begins with: noise may look like another type by accident. */
const KINDS = [
  ['mp4', '\0\0\0\x18ftypisom'],
  ['py', '# a scene\n'],
  ['png', '\x89PNG\r\n\x1a\n'],
  ['srt', '1\n00:00:01,000 --> 00:00:02,000\n'],
  ['webm', '\x1aE\xdf\xa3'],
] as const;

const plain = (what: string, figure: number): Figure => ({
  ...{ what, figure: figure.toLocaleString('en'), goal: '(none)', met: true },
});
const said = (already: number) =>
  `5,000 files: 5,000 ready; ${already.toLocaleString('en')} of them were already there`;
/** Small files travel as base64. */
const onWire = (size: number) => (size <= 2 ** 20 ? Math.ceil(size / 3) * 4 : size);

/** The scene's assets, once those accepted have ended and no more come; what was in flight may still be accepted. */
async function settled(client: NodeClient): Promise<Asset[] | undefined> {
  const rows = await rowsOf(client);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const later = await rowsOf(client);
  const under = later.some(({ status }) => status === 'pending' || status === 'uploading');
  return later.length === rows.length && !under ? later : undefined;
}

async function rowsOf(client: NodeClient): Promise<Asset[]> {
  const rows: Asset[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.listAssets(SCENE, { history: true, limit: 1_000, cursor });
    rows.push(...page.assets);
    cursor = page.next;
  } while (cursor !== undefined);
  return rows;
}

interface Run {
  readonly stack: Stack;
  readonly wire: CountingProxy;
  readonly name: string;
}

/** Types the command into a terminal of its own; what it shows goes to a file of that name. */
async function reelay(dir: string, { stack, wire, name }: Run): Promise<{ pid: number; ended: Promise<number> }> {
  const pidFile = join(dir, `${name}.pid`);
  const entity = Object.entries(SCENE).flatMap(([option, id]) => [`--${option}`, id]);
  const command = [process.execPath, join(ROOT, 'src/cli/main.ts'), 'upload', join(dir, 'renders'), ...entity].join(
    ' ',
  );
  const typed = `stty cols 160; echo $$ > ${pidFile}; exec ${command}`;
  const child = spawn('script', ['--quiet', '--return', '--flush', '--command', typed, join(dir, `${name}.out`)], {
    env: { ...process.env, XDG_STATE_HOME: dir, REELAY_API_URL: wire.url, REELAY_KEY: stack.agentKey },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(child, 'exit').then(([code]) => Number(code));
  const pid = await until(async () => Number(await readFile(pidFile, 'utf8').catch(() => '0')), {
    ...{ within: 20_000, what: 'the command to start' },
  });
  return { pid, ended };
}

/** Files of many sizes, most of them small, the same in every run. Gives the SHA-256 of each by its name. */
async function writeFiles(dir: string): Promise<Map<string, string>> {
  const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
  const bytes = Buffer.alloc(128 * 2 ** 20);
  noise.update(bytes).copy(bytes);
  const checksums = new Map<string, string>();
  for (const [index, size] of sizes().entries()) {
    const [type, head] = KINDS[index % KINDS.length] ?? ['py', ''];
    const name = `${String(index % 50).padStart(2, '0')}/part-${index}.${type}`;
    const start = (index * 7_919) % (bytes.length - size);
    const content = Buffer.from(bytes.subarray(start, start + size));
    content.write(head, 'latin1');
    const path = join(dir, name);
    if (index < 50) await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
    checksums.set(name, createHash('sha256').update(content).digest('hex'));
  }
  return checksums;
}

/** One file in 51 has from 1 to 60 MB, the others from 1 KB to 1 MB; the last makes the sum exact. */
function sizes(): number[] {
  let seed = 1;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const drawn = Array.from({ length: FILES }, (_, index) =>
    index % 51 === 0 ? 1e6 * 60 ** random() : 1e3 * 1_000 ** random(),
  );
  const scale = BYTES / drawn.reduce((sum, size) => sum + size, 0);
  const scaled = drawn.map((size) => Math.floor(size * scale));
  const rest = BYTES - scaled.reduce((sum, size) => sum + size, 0);
  return scaled.map((size, index) => (index === FILES - 1 ? size + rest : size));
}

interface CountingProxy {
  readonly url: string;
  /** Bytes towards the API since the last call. */
  take(): number;
  close(): Promise<void>;
}

/** Passes connections on to the API's port, and counts what it is sent. */
async function countingProxy(port: string): Promise<CountingProxy> {
  let bytes = 0;
  const server = createServer((caller) => {
    const api = connect(Number(port), '127.0.0.1');
    caller.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    // Either end may break off: the caller is killed on purpose.
    pipeline(caller, api, caller).catch(() => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    take() {
      const taken = bytes;
      bytes = 0;
      return taken;
    },
    async close() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
