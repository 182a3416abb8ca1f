import { connectRedis, whenConnected } from '#redis/connection.ts';
import { openDeployment, type Process } from '#test/deployment.ts';
import { startRedis } from '#test/redis.ts';
import { type Chapter, equal } from './figures.ts';

const TIMES = 200;

/** One request, sent many times at once to two API processes. */
export const sameRequest: Chapter = {
  name: 'same-request',
  command: `POST /v1/uploads ${TIMES} times at once with one Idempotency-Key, to two API processes`,
  async run() {
    const server = await startRedis();
    const deployment = await openDeployment(server.url);
    const redis = connectRedis(server.url, 'caller', () => undefined);
    try {
      await whenConnected(redis, 10_000);
      const apis = [await deployment.startApi(), await deployment.startApi()];
      const send = (api: Process | undefined, text: string) => post(api, deployment.agentKey, text);
      const answers = await Promise.all(Array.from({ length: TIMES }, (_, at) => send(apis[at % 2], 'print(1)')));
      const other = await send(apis[1], 'print(2)');
      return [
        equal('answered 202', answers.filter(({ status }) => status === 202).length, TIMES),
        equal(
          'of them the first (outcome created)',
          answers.filter(({ body }) => body.outcome === 'created').length,
          1,
        ),
        equal(
          'different answers but for the outcome',
          new Set(answers.map(({ body }) => JSON.stringify(body.jobs))).size,
          1,
        ),
        equal('batches', (await redis.keys('reelay:batch:*')).length, 1),
        equal('with another body', `${other.status} ${other.body.error?.code}`, '409 IDEMPOTENCY_MISMATCH'),
      ];
    } finally {
      redis.disconnect();
      await deployment.remove();
      await server.stop();
    }
  },
};

interface Answer {
  readonly status: number;
  readonly body: { outcome?: string; jobs?: unknown; error?: { code: string } };
}

async function post(api: Process | undefined, key: string, text: string): Promise<Answer> {
  const files = Array.from({ length: 60 }, (_, at) => ({
    ...{ assetType: 'source_code', filename: `${at}.py`, origin: { kind: 'inline', text } },
  }));
  const response = await fetch(`${api?.url}/v1/uploads`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'idempotency-key': 'one' },
    body: JSON.stringify({ project: 'demo', session: 's-1', scene: 'scene-1', files }),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}
