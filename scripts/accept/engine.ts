import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { spawnEngine } from '#local/convex/spawn.ts';
import { atLeast, atMost, type Chapter, type Figure, resident } from './figures.ts';

const FUNCTIONS = fileURLToPath(new URL('../../local/convex/testing/fixture', import.meta.url));
const DOCUMENTS = 50_000;
const CALLERS = 16;
const MANY_CALLERS = 64;
/** The disk may be busy with others' work: the best of these counts. */
const ROUNDS = 3;

/** The embedded Convex engine alone, with 50,000 documents, over HTTP on kept connections. */
export const engine: Chapter = {
  name: 'engine',
  command: 'POST /api/query and /api/mutation at node local/convex/main.ts, 50,000 documents',
  async run() {
    const data = await mkdtemp(join(tmpdir(), 'reelay-engine-'));
    const { url, pid, stop } = await spawnEngine({ functions: FUNCTIONS, data });
    try {
      const caller = callerOf(url);
      await load(DOCUMENTS, MANY_CALLERS, (at) => caller.mutation('counters:create', { name: nameOf(at) }));
      return [...(await reads(caller)), ...(await writes(caller)), ...(await memory(caller, pid))];
    } finally {
      await stop();
      await rm(data, { recursive: true, force: true });
    }
  },
};

interface Caller {
  query(path: string, args: object): Promise<void>;
  mutation(path: string, args: object): Promise<void>;
}

async function reads({ query }: Caller): Promise<Figure[]> {
  const read = () => query('counters:watch', { name: anyName() });
  await load(2_000, 1, read);
  const alone = await load(5_000, 1, read);
  const together = await load(20_000, CALLERS, read);
  return [
    atMost('a read by index, single caller: p50', alone.p50, 1, 'ms'),
    {
      what: `a read by index, ${CALLERS} callers: p50`,
      figure: `${together.p50.toFixed(2)} ms, ${Math.round(together.perSecond)} a second`,
      goal: '(none)',
      met: true,
    },
  ];
}

/** A mutation is answered when its write is flushed to disk. */
async function writes({ mutation }: Caller): Promise<Figure[]> {
  const insert = (at: number) => mutation('counters:create', { name: `new-${at}` });
  const patch = () => mutation('counters:increase', { name: anyName() });
  return [
    atLeast(`durable inserts, ${CALLERS} callers`, await best(CALLERS, insert), 1_500, 'a second'),
    atLeast(`durable patches of any document, ${CALLERS} callers`, await best(CALLERS, patch), 1_500, 'a second'),
    {
      what: `durable patches of any document, ${MANY_CALLERS} callers`,
      figure: `${Math.round(await best(MANY_CALLERS, patch))} a second`,
      goal: '(none)',
      met: true,
    },
  ];
}

async function best(callers: number, work: (at: number) => Promise<void>): Promise<number> {
  let perSecond = 0;
  for (let round = 0; round < ROUNDS; round++) {
    perSecond = Math.max(perSecond, (await load(5_000, callers, work)).perSecond);
  }
  return Math.round(perSecond);
}

async function memory({ mutation }: Caller, pid: number): Promise<Figure[]> {
  const patch = () => mutation('counters:increase', { name: anyName() });
  await load(20_000, MANY_CALLERS, patch);
  const early = await resident(pid);
  await load(80_000, MANY_CALLERS, patch);
  const late = await resident(pid);
  return [
    atMost(
      `resident after 100,000 mutations (after 20,000: ${early.toFixed(0)} MB)`,
      late,
      Math.round(early * 1.1),
      'MB',
    ),
  ];
}

/** Calls as a Convex client makes them, without its own work on top. Throws when a call fails. */
function callerOf(url: string): Caller {
  const agent = new http.Agent({ keepAlive: true });
  const call = (kind: string) => async (path: string, args: object) => {
    const request = http.request(`${url}/api/${kind}`, { method: 'POST', agent });
    const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
      request.once('response', resolve).once('error', reject);
    });
    request.end(JSON.stringify({ path, format: 'convex_encoded_json', args: [args] }));
    const response = await answered;
    const body = await text(response);
    if (response.statusCode !== 200) throw new Error(`${path} failed: ${body}`);
  };
  return { query: call('query'), mutation: call('mutation') };
}

/** Does `work` so many times, by so many callers at once. `p50` in milliseconds. */
async function load(times: number, callers: number, work: (at: number) => Promise<void>) {
  const took: number[] = [];
  let next = 0;
  const start = performance.now();
  const caller = async () => {
    while (next < times) {
      const at = next++;
      const from = performance.now();
      await work(at);
      took.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const seconds = (performance.now() - start) / 1_000;
  took.sort((one, other) => one - other);
  return { perSecond: times / seconds, p50: took[times >> 1] ?? 0 };
}

function nameOf(at: number): string {
  return `counter-${at}`;
}

function anyName(): string {
  return nameOf(Math.floor(Math.random() * DOCUMENTS));
}
