import { openBench } from '#test/bad-input/bench.ts';
import { HEAVY_OUTAGES, OUTAGES } from '#test/bad-input/outages.ts';
import { BAD_INPUT } from '#test/bad-input/rows.ts';
import { atMost, type Chapter, equal, type Figure } from './figures.ts';

/** The table of bad input, each row with what became of it; then the outages. */
export const badInput: Chapter = {
  name: 'bad-input',
  command: 'bad requests and bad origins against API and worker as processes (test/bad-input/rows.ts, outages.ts)',
  async run() {
    const figures: Figure[] = [];
    const bench = await openBench();
    try {
      for (const [what, rows] of Object.entries(BAD_INPUT)) {
        const verdicts = await Promise.all(rows.map((row) => row.run(bench)));
        figures.push(
          ...rows.map(({ input, expected }, at) => equal(`${what}: ${input}`, verdicts[at] ?? '', expected)),
        );
      }
      const { objects } = await bench.store.list('staging/');
      figures.push(equal('staged objects left behind', objects.length, 0), await refusal(bench));
    } finally {
      await bench.close();
    }
    for (const { outage, expected, run } of [...OUTAGES, ...HEAVY_OUTAGES]) {
      figures.push(equal(outage, (await run()).join(', '), expected.join(', ')));
    }
    return figures;
  },
};

/** How long an upload waits for its 503 while Redis is away; the first one, which finds it out, included. */
async function refusal(bench: Awaited<ReturnType<typeof openBench>>): Promise<Figure> {
  await bench.redis.kill();
  const times: number[] = [];
  for (let at = 0; at < 50; at += 1) {
    const start = performance.now();
    const { status } = await bench.post();
    times.push(status === 503 ? performance.now() - start : Number.POSITIVE_INFINITY);
  }
  return atMost('503 while Redis is away, the slowest of 50', Math.max(...times), 50, 'ms');
}
