import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { createClient, type ReelayClient } from '#client/client.ts';
import { readJobFacts } from '#queues/job-facts.ts';
import { lanePrefix } from '#queues/lanes.ts';
import { createProducer, type Producer } from '#queues/producer.ts';
import { anotherConnection, connectRedis, type RedisConnection, whenConnected } from '#redis/connection.ts';
import { packWork, someFile } from '#test/pack-work.ts';
import { type Stack, startStack } from '#test/stack.ts';
import { until } from '#test/until.ts';
import { atMost, type Chapter, equal, type Figure, peakResident, resident, timed } from './figures.ts';
import { writeSyntheticLetters } from './synthetic-letters.ts';

/** Smaller while somebody works on it. */
const REPLAYED = Number(process.env.DEAD_LETTERS ?? 10_000);
const GROUPED = REPLAYED * 10;
const PER_SECOND = 500;
const PREFIX = 'reelay';
const EVENTS = `${lanePrefix(PREFIX, 'small')}:small:events`;

/** Real uploads whose origin is missing, replayed at a rate once it is there; then many more, grouped. */
export const deadLetters: Chapter = {
  name: 'dead-letters',
  command: `POST /v1/admin/dead-letters/replay { all, perSecond: ${PER_SECOND} } for ${REPLAYED}; GET /v1/admin/dead-letters of ${GROUPED}`,
  async run() {
    const stack = await startStack({ UPLOAD_ROOTS: '/tmp', LOG_LEVEL: 'warn' });
    const redis = connectRedis(`redis://127.0.0.1:${stack.env.REDIS_PORT}`, 'worker', () => undefined);
    await whenConnected(redis, 10_000);
    const limits = { jobs: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };
    const producer = createProducer({ redis, prefix: PREFIX, limits, clock: Date.now, onError: () => undefined });
    try {
      const client = createClient({ apiUrl: stack.apiUrl, key: stack.adminKey });
      const replayed = await replayFigures({ stack, redis, producer, client });
      return [...replayed, ...(await groupFigures({ stack, redis, client }))];
    } finally {
      await producer.close();
      redis.disconnect();
      await stack.remove();
    }
  },
};

interface Tools {
  readonly stack: Stack;
  readonly redis: RedisConnection;
  readonly producer: Producer;
  readonly client: ReelayClient;
}

async function replayFigures({ stack, redis, producer, client }: Tools): Promise<Figure[]> {
  const { small } = producer.lanes;
  const path = join(stack.dataDir, 'origin.py');
  // Intake looks at origins, so that it is passed by: one file a pack, all of the same origin.
  const work = packWork({ producer, metadata: {} as never, stage: async () => undefined });
  for (let at = 0; at < REPLAYED; at += 5_000) {
    const files = Array.from({ length: Math.min(5_000, REPLAYED - at) }, () => someFile({ kind: 'path', path }));
    await work.accept(files.map((file) => ({ lane: 'small', files: [file] })));
  }
  await until(async () => (await small.getFailedCount()) === REPLAYED, {
    within: 300_000,
    what: 'all to fail',
    every: 500,
  });

  await writeFile(path, 'print(1)\n');
  const counter = await countReplays(redis);
  const chosen = { all: true, perSecond: PER_SECOND } as const;
  const first = await ended(client, (await client.deadLetters.replay(chosen)).jobId);
  const seconds = await counter.stop();
  await until(async () => (await producer.counts()).small.completed === REPLAYED, {
    ...{ within: 600_000, what: 'all to be ready', every: 500 },
  });
  const again = await ended(client, (await client.deadLetters.replay(chosen)).jobId);
  const looked = await small.getCompleted(0, 999);
  const facts = await Promise.all(looked.map(({ id = '' }) => readJobFacts(redis, PREFIX, 'small', id)));
  // The last second ends when there is no more.
  const whole = seconds.slice(0, -1);
  const off = whole.map((count) => Math.abs(count / PER_SECOND - 1) * 100);
  return [
    equal(`replayed, as the replay says`, first.replayed, REPLAYED),
    equal(
      'replayed, as the queue saw it',
      seconds.reduce((sum, count) => sum + count, 0),
      REPLAYED,
    ),
    atMost(`each second off ${PER_SECOND} (${whole.join(' ')})`, Math.max(...off), 10, '%'),
    atMost(
      `all ${whole.length} whole seconds off ${PER_SECOND}`,
      Math.abs(mean(whole) / PER_SECOND - 1) * 100,
      10,
      '%',
    ),
    equal('ready afterwards', (await producer.counts()).small.completed, REPLAYED),
    equal(
      'replayed once, of 1,000 looked at',
      facts.filter(({ generation }) => generation === '1').length,
      looked.length,
    ),
    equal('replayed by the same replay again', again.replayed, 0),
  ];
}

const mean = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

async function ended({ deadLetters }: ReelayClient, jobId: string) {
  return until(
    async () => {
      const run = await deadLetters.getReplay(jobId);
      return run.state === 'completed' ? run : undefined;
    },
    { within: 300_000, what: 'the replay to end', every: 250 },
  );
}

/** Counts by Redis' own clock what comes back from the failed set; `stop` gives a number for each second since the first. */
async function countReplays(redis: RedisConnection): Promise<{ stop(): Promise<number[]> }> {
  const own = anotherConnection(redis);
  const at: number[] = [];
  const [newest] = await own.xrevrange(EVENTS, '+', '-', 'COUNT', 1);
  let last = newest?.[0] ?? '0';
  let isStopping = false;
  const reading = (async () => {
    for (;;) {
      const read = await own.xread('COUNT', 5_000, 'BLOCK', 200, 'STREAMS', EVENTS, last);
      const entries = read?.[0]?.[1] ?? [];
      if (entries.length === 0 && isStopping) return;
      for (const [id, fields] of entries) {
        last = id;
        if (fields.includes('waiting') && fields.includes('failed')) at.push(Number(id.split('-')[0]));
      }
    }
  })();
  return {
    async stop() {
      isStopping = true;
      await reading;
      own.disconnect();
      const [first = 0] = at;
      const seconds: number[] = [];
      for (const ms of at) {
        const second = Math.floor((ms - first) / 1_000);
        seconds[second] = (seconds[second] ?? 0) + 1;
      }
      return Array.from(seconds, (count) => count ?? 0);
    },
  };
}

async function groupFigures({ stack, redis, client }: Pick<Tools, 'stack' | 'redis' | 'client'>): Promise<Figure[]> {
  await writeSyntheticLetters(redis, PREFIX, GROUPED);
  const pid = await stack.pid('api');
  await client.deadLetters.list('000000000000', { limit: 1 });
  const before = await resident(pid);
  // Forgets the peak so far.
  await writeFile(`/proc/${pid}/clear_refs`, '5');
  const { seconds, answer } = await timed(() => client.deadLetters.groups());
  return [
    equal(
      'grouped',
      answer.reduce((sum, { count }) => sum + count, 0),
      GROUPED,
    ),
    equal('groups', answer.length, 20),
    atMost(`${GROUPED} grouped in`, seconds, 2, 's'),
    atMost(
      `growth of the API's memory meanwhile (from ${before.toFixed(0)} MB)`,
      (await peakResident(pid)) - before,
      200,
      'MB',
    ),
  ];
}
